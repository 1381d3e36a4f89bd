import type { IncomingMessage, RequestListener } from 'node:http'
import Fastify from 'fastify'
import type { FastifyInstance, FastifyServerOptions } from 'fastify'
import { contain } from './containment.ts'
import { closeAfterEnd } from './close-after-end.ts'
import { createTenantServer } from './create-tenant-server.ts'
import { createQuietly } from '../fastify/create-quietly.ts'
import { inheritFromApp } from '../fastify/inherit-from-app.ts'
import { closureOptions, sharedRouterOptions } from '../fastify/options.ts'
import { customStrategies } from '../fastify/router.ts'
import { REFUSED_LISTEN } from './tenant-server.ts'
import { tenantLogger } from './tenant-logger.ts'
import type { HookLists } from '../fastify/shapes.ts'
import type { Report } from '../utils/contained-call.ts'
import type { AdaptOptions } from '../loading/plugin-function.ts'
import type { Owner } from '../utils/log-failure.ts'
import type { ScopeParent } from './scope-parent.ts'

type Inject = (this: FastifyInstance, request?: unknown, done?: (error: unknown) => void) => unknown
type RouterOptions = NonNullable<FastifyServerOptions['routerOptions']>

/** The parts of a Fastify root that differ from tenant to tenant. */
export interface TenantRootOptions {
  owner: Owner
  /** The app's hooks, as the tenant's routes run them. */
  hooks: HookLists
  /** How long one of the tenant's plugins may take to load, in ms. */
  pluginTimeout: number
  /** Called before a request is passed to the scope, without `raw` if it is injected. Throws if the scope does not take it. */
  admit: (raw?: IncomingMessage) => void
  /** Returns the options that a plugin gets, from those that it is registered with. Default: the same. */
  adaptOptions?: AdaptOptions
  /** Takes the tenant out of service when its code closes its own instance. Resolves when the tenant has ended, with whether to close the instance. */
  end: () => Promise<boolean>
  /** Receives failures that no caller waits for. */
  report: Report
  /** Handles a request that none of the tenant's routes matches. */
  defaultRoute: NonNullable<RouterOptions['defaultRoute']>
}

/** The parts that a scope is created with. */
export interface ScopeParts extends Omit<TenantRootOptions, 'defaultRoute' | 'end' | 'report'> {
  /** @param isEnding whether the end has already begun; if so, the callback only waits for it */
  end: (isEnding: boolean) => Promise<void>
  /** Whether several tenants share the scope. `request.tenant` is then the tenant of the request and not that of the scope. Default: `false`. */
  isShared?: boolean
}

/**
 * Creates a second Fastify root that inherits from the app. It has its own router, boot, close and 404 handlers. It inherits everything
 * that Fastify encapsulates, like a child context.
 */
export function createTenantRoot (parent: ScopeParent, options: TenantRootOptions): FastifyInstance {
  const { app, internals, genReqId, logController, schemaControllers } = parent
  const root = createQuietly(() => Fastify({
    ...closureOptions(app, internals),
    ...(parent.hasLogger && { loggerInstance: app.log.child(options.owner) }),
    routerOptions: routerOptions(parent, options),
    pluginTimeout: options.pluginTimeout,
    serverFactory: handle => createTenantServer(parent, options, handle as RequestListener) as unknown as FastifyInstance['server']
  }) as unknown as FastifyInstance)

  contain(root, internals, options.report, options.adaptOptions)
  inheritFromApp(root, app, internals, { hooks: options.hooks, genReqId, logController, schemaController: schemaControllers.create() })
  root.log = tenantLogger(root.log, app.log)
  root.listen = refuseListen as FastifyInstance['listen']
  root.close = closeAfterEnd(root.close, options.end)
  root.inject = injectIfAdmitted(root.inject as Inject, options.admit) as FastifyInstance['inject']
  return root
}

function routerOptions ({ app, internals, router, routerAnswers }: ScopeParent, { defaultRoute }: TenantRootOptions): RouterOptions {
  return {
    ...sharedRouterOptions(app, internals),
    ...routerAnswers as RouterOptions,
    constraints: customStrategies(router) as never,
    defaultRoute
  }
}

/** Fails in the same way as Fastify's own `inject()` on a closed app. */
function injectIfAdmitted (inject: Inject, admit: () => void): Inject {
  return function (request, done) {
    try {
      admit()
    } catch (error) {
      return done === undefined ? Promise.reject(error) : done(error)
    }
    return inject.call(this, request, done)
  }
}

async function refuseListen (): Promise<never> {
  throw new Error(REFUSED_LISTEN)
}
