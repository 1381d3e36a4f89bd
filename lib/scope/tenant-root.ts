import type { RequestListener } from 'node:http'
import Fastify from 'fastify'
import type { FastifyInstance, FastifyServerOptions } from 'fastify'
import { contain } from './containment.ts'
import { createQuietly } from '../fastify/create-quietly.ts'
import { REFUSED_LISTEN } from './tenant-server.ts'
import { endingFirst } from './ending-first.ts'
import { tenantLogger } from './tenant-logger.ts'
import { customStrategies } from '../fastify/router.ts'
import type { Report } from '../utils/contained-call.ts'
import { serverOf } from './server-of.ts'
import type { ScopeParent } from './scope-parent.ts'
import type { HookLists } from '../fastify/shapes.ts'

/** What a grafted root keeps for itself; everything else that Fastify encapsulates is read from the app. */
const OWN = new Set([
  'avvioBoot', 'children', 'state', '404', '404LogLevelInstance', '404ContextKey', 'canSetNotFoundHandler',
  'keepAliveConnections', 'pluginNameChain', 'genReqId', 'logController', 'hooks', 'acceptedHTTPMethods'
].map(name => `fastify.${name}`))

/** Bound to the root's own schemas and options, where the app's count. */
const INHERITED_PROPERTIES = ['getSchema', 'getSchemas', 'initialConfig']

/** Server options that Fastify reads from a closure and not from the instance. */
const CLOSED_OVER_OPTIONS = ['allowErrorHandlerOverride', 'exposeHeadRoutes', 'frameworkErrors', 'requestIdHeader', 'return503OnClosing']

/** Router options that Fastify has bound to the app, unless they are the user's. */
const APP_BOUND = new Set(['defaultRoute', 'onBadUrl', 'onMaxParamLength', 'constraints'])

/** What is one tenant's own. */
export interface TenantRootOptions {
  id: string
  hooks: HookLists
  /** How long one of the tenant's plugins may take to load, in ms. */
  pluginTimeout: number
  /** Called before a request is injected straight into the tenant; throws when it may not be. */
  admit: () => void
  /** Takes the tenant out of service, where its code closes its own instance. Resolves when it has ended. */
  end: () => Promise<void>
  /** Told what of the tenant fails where nobody waits for it. */
  report: Report
  /** Answers what none of the tenant's routes does. */
  defaultRoute: NonNullable<NonNullable<FastifyServerOptions['routerOptions']>['defaultRoute']>
}

/** What a scope is made with. */
export interface ScopeParts extends Omit<TenantRootOptions, 'defaultRoute' | 'end' | 'report'> {
  /** @param isEnding whether the end has begun already: to be waited for then */
  end: (isEnding: boolean) => Promise<void>
}

/**
 * A second Fastify root on the app: its router, boot, close and 404 are its own, and everything that Fastify encapsulates
 * is inherited from the app as by one of its children.
 */
export function createTenantRoot (parent: ScopeParent, options: TenantRootOptions): FastifyInstance {
  const { app, internals } = parent
  const root = createQuietly(() => Fastify({
    ...pick(internals.get(app, 'options'), CLOSED_OVER_OPTIONS),
    ...(parent.hasLogger && { loggerInstance: app.log.child({ tenantId: options.id }) }),
    routerOptions: routerOptions(parent, options),
    pluginTimeout: options.pluginTimeout,
    serverFactory: handle => serverOf(parent, options, handle as RequestListener) as unknown as FastifyInstance['server']
  }) as unknown as FastifyInstance)

  contain(root, internals, options.report)
  inherit(root, app)
  own(root, parent, options)
  return root
}

function routerOptions ({ app, internals, router, routerAnswers: { onBadUrl, onMaxParamLength } }: ScopeParent, { defaultRoute }: TenantRootOptions): FastifyServerOptions['routerOptions'] {
  const options = Object.entries(internals.get(app, 'options').routerOptions).filter(([name]) => !APP_BOUND.has(name))
  const given = Object.entries({ onBadUrl, onMaxParamLength }).filter(([, answer]) => answer !== undefined)
  return { ...Object.fromEntries([...options, ...given]), constraints: customStrategies(router) as never, defaultRoute }
}

function inherit (root: FastifyInstance, app: FastifyInstance): void {
  for (const symbol of Object.getOwnPropertySymbols(root)) {
    if (symbol.description?.startsWith('fastify.') && !OWN.has(symbol.description)) Reflect.deleteProperty(root, symbol)
  }
  for (const name of INHERITED_PROPERTIES) Reflect.deleteProperty(root, name)
  Object.setPrototypeOf(root, app)
}

function own (root: FastifyInstance, { app, internals, genReqId, logController, schemaControllers }: ScopeParent, { hooks, admit, end }: TenantRootOptions): void {
  root.log = tenantLogger(root.log, app.log)
  root.listen = refuseListen as FastifyInstance['listen']
  root.close = endingFirst(root.close, end)
  root.inject = admitted(root.inject as Inject, admit) as FastifyInstance['inject']
  const { bodyless, bodywith } = internals.get(app, 'methods')
  internals.set(root, 'hooks', hooks)
  internals.set(root, 'logController', logController)
  internals.set(root, 'schemaController', schemaControllers.create())
  internals.set(root, 'methods', { bodyless: new Set(bodyless), bodywith: new Set(bodywith) })
  // An array that inherits from the app's, as in Fastify's children: plugins find there what they depend on.
  internals.set(root, 'registeredPlugins', Object.create(internals.get(app, 'registeredPlugins')))
  internals.set(root, 'genReqId', genReqId)
  // With a context in place Fastify leaves out the 404 router's trees for every HTTP method: 100 of a root's 160 KB.
  internals.set(root, 'fourOhFourContext', {} as never)
}

type Inject = (this: FastifyInstance, request?: unknown, done?: (error: unknown) => void) => unknown

/** As Fastify's own `inject()` refuses when the app is closed. */
function admitted (inject: Inject, admit: () => void): Inject {
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

function pick (object: Record<string, unknown>, names: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(names.filter(name => object[name] !== undefined).map(name => [name, object[name]]))
}
