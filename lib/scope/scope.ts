import type { IncomingMessage } from 'node:http'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { logTenant } from './log-tenant.ts'
import { isBeforeApp, markBeforeApp } from './before-app.ts'
import { asError } from '../utils/as-error.ts'
import { logFailure } from '../utils/log-failure.ts'
import { ApplicationHooks } from './application-hooks.ts'
import { createTenantRoot } from './tenant-root.ts'
import { observeRoute } from '../leases/observe-route.ts'
import { NotFound } from './not-found.ts'
import { checkRouteConfig } from './route-config.ts'
import { prepareToFree } from '../fastify/after-boot.ts'
import { setRequestDefaults } from '../fastify/decorators.ts'
import { withPluginName } from '../fastify/instance.ts'
import { contextsOf, findRoute, findRouteLater, hasAsyncConstraints, isWildcard, routerOf } from '../fastify/router.ts'
import type { Report } from '../utils/contained-call.ts'
import type { ScopeParts } from './tenant-root.ts'
import type { ParentRoutes, ScopeParent } from './scope-parent.ts'
import type { TenantServer } from './tenant-server.ts'
import type { RouteContext, RouteMatch, Router } from '../fastify/shapes.ts'
import type { Tenant } from '../../types/index.ts'

/** One generation of a tenant or a template in Fastify: a root that inherits from its base, and its one child, which contains all of the code. */
export class Scope {
  /** The tenant's `app.server`. */
  readonly server: TenantServer
  readonly #parent: ScopeParent
  readonly #root: FastifyInstance
  readonly router: Router
  readonly #notFound: NotFound
  readonly #report: Report
  readonly #hooks: ApplicationHooks
  readonly #isShared: boolean
  #instance: FastifyInstance | undefined
  #tenant: Tenant | undefined
  #isEnding = false
  #isClosing = false
  /** The app's reserved routes when the tenant's routes were last marked. */
  #reserved: ParentRoutes['reserved'] | undefined

  constructor (parent: ScopeParent, { end, isShared = false, ...parts }: ScopeParts) {
    this.#parent = parent
    this.#isShared = isShared
    this.#report = (error, message) => logFailure(parent.app.log, parts.owner, error, message)
    const defaultRoute = (raw: unknown, rawReply: unknown): void => this.#notFound.handle(raw as IncomingMessage, rawReply as never)
    this.#root = createTenantRoot(parent, { ...parts, report: this.#report, defaultRoute, end: () => this.#endFirst(end) })
    this.server = this.#root.server as unknown as TenantServer
    this.#hooks = new ApplicationHooks(this.#root, parent.internals, this.#report)
    this.router = routerOf(this.#root, parent.internals)
    this.#notFound = new NotFound(this.#root, parent.internals)
  }

  /**
   * Boots the tenant.
   * @param name the name of the tenant's plugin in Fastify's messages
   * @param fill registers the tenant's code in its Fastify instance, which is an ordinary child context
   */
  async boot (name: string, fill: (instance: FastifyInstance) => Promise<void>): Promise<void> {
    const plugin = async (instance: FastifyInstance): Promise<void> => {
      this.#instance = instance
      await fill(instance)
    }
    const freeWhatBooted = prepareToFree(this.#root, this.router, this.#parent.internals)
    await this.#root.register(withPluginName(plugin, name)).ready()
    const routes = contextsOf(this.router)
    routes.forEach(checkRouteConfig)
    this.#parent.routes.overrides.warn(routes, this.#root.log)
    for (const route of routes) {
      observeRoute(route)
      this.#share(route)
    }
    this.#notFound.prepare(this.instance, this.#parent.app, routes)
    if (this.#isShared) this.#notFound.contexts().forEach(context => this.#share(context))
    freeWhatBooted()
  }

  /** The Fastify instance that contains the code. Set when the boot begins. */
  get instance (): FastifyInstance {
    return this.#instance as FastifyInstance
  }

  /** Sets `request.tenant` and `request.tenantId` for every request in `instance`, including injected ones. */
  bind (instance: FastifyInstance, tenant: Tenant): void {
    setRequestDefaults(instance, this.#parent.internals, { tenant, tenantId: tenant.id })
    this.#tenant = tenant
  }

  /** Returns the scope's route for a request; `null` if it has none. Returns a promise only if its routes have asynchronous constraints. */
  find (raw: IncomingMessage): RouteMatch | null | Promise<RouteMatch | null> {
    if (hasAsyncConstraints(this.router)) return findRouteLater(this.router, raw).catch(() => this.#routeAgain())
    return this.#findNow(raw)
  }

  /** Returns the 404 handler that the scope's code has set for a request; `null` if it has set none. */
  notFoundFor (request: FastifyRequest): RouteMatch | null {
    return this.#notFound.match(request)
  }

  /**
   * Returns the exact route for a request that the app has not routed; `null` if there is none. Returns `undefined` when the app has to
   * route the request: it may have a route that comes first, or listeners of the scope come first.
   */
  firstRouteFor (raw: IncomingMessage): RouteMatch | null | undefined {
    const { reserved } = this.#parent.routes
    if (this.#reserved !== reserved) markBeforeApp(this.router, this.#reserved = reserved)
    if (hasAsyncConstraints(this.router) || this.server.intercepts) return undefined
    const found = findRoute(this.router, raw)
    if (found === null || isWildcard(found.store)) return null
    return found.store !== null && isBeforeApp(found.store) ? found : undefined
  }

  /** Tells the tenant that the app listens. */
  onListen (): void {
    this.server.emitSafely('listening')
    this.#hooks.onListen()
  }

  /**
   * Runs the tenant's preClose hooks, then closes its server. These end connections that would stay open for good, for example
   * WebSockets. Later calls do nothing.
   */
  async preClose (): Promise<void> {
    if (this.#isEnding) return
    this.#isEnding = true
    await this.#hooks.preClose()
    await new Promise<void>(resolve => { this.server.close(() => resolve()) })
  }

  /** Closes the tenant's instance: its onClose hooks run. */
  async close (): Promise<void> {
    this.#isEnding = this.#isClosing = true
    await this.#root.close()
  }

  /** Returns whether the code of the scope may close it: not if other tenants use it. */
  async #endFirst (end: ScopeParts['end']): Promise<boolean> {
    if (!this.#isClosing) await end(this.#isEnding)
    return this.#isClosing || !this.#isShared
  }

  #share (context: RouteContext): void {
    this.#parent.tenantRequests.share(context, this.#tenant)
    if (this.#isShared && this.#parent.hasLogger) logTenant(context)
  }

  #findNow (raw: IncomingMessage): RouteMatch | null {
    try {
      return findRoute(this.router, raw)
    } catch (thrown) {
      this.#report(thrown, 'a constraint of the tenant failed')
      throw asError(thrown)
    }
  }

  /** Lets the tenant's router run a failed constraint again, so that Fastify answers its error as usual, for example with `frameworkErrors`. */
  #routeAgain (): RouteMatch {
    return { handler: (raw, rawReply) => this.#root.routing(raw, rawReply), params: {}, store: null, searchParams: {} }
  }
}
