import type { IncomingMessage } from 'node:http'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { asError } from '../utils/as-error.ts'
import { logFailure } from '../utils/log-failure.ts'
import { ApplicationHooks } from './application-hooks.ts'
import { createTenantRoot } from './tenant-root.ts'
import { noteHandler } from '../leases/handler-end.ts'
import { NotFound } from './not-found.ts'
import { noteOnResponse } from '../leases/on-response-end.ts'
import { checkRouteConfig } from './route-config.ts'
import { setRequestDefaults } from '../fastify/decorators.ts'
import { withPluginName } from '../fastify/instance.ts'
import { contextsOf, findRoute, findRouteLater, hasAsyncConstraints, isWildcard, routerOf } from '../fastify/router.ts'
import type { Report } from '../utils/contained-call.ts'
import type { ScopeParts } from './tenant-root.ts'
import type { ParentRoutes, ScopeParent } from './scope-parent.ts'
import type { TenantServer } from './tenant-server.ts'
import type { RouteContext, RouteMatch, Router } from '../fastify/shapes.ts'
import type { Tenant } from '../../types/index.ts'

const kBeforeApp = Symbol('fastify-multitenant.before-app')

/** `true` if the tenant's route answers its URL, whatever routes the app has. */
interface Marked extends RouteContext { [kBeforeApp]?: boolean }

/** One generation of a tenant in Fastify: a root that inherits from the app, and its one child, which contains all of the tenant's code. */
export class Scope {
  /** The tenant's `app.server`. */
  readonly server: TenantServer
  readonly #parent: ScopeParent
  readonly #root: FastifyInstance
  readonly #router: Router
  readonly #notFound: NotFound
  readonly #report: Report
  readonly #hooks: ApplicationHooks
  #tenant: Tenant | undefined
  #isEnding = false
  #isClosing = false
  /** The app's reserved routes when the tenant's routes were last marked. */
  #reserved: ParentRoutes['reserved'] | undefined

  constructor (parent: ScopeParent, { end, ...parts }: ScopeParts) {
    this.#parent = parent
    this.#report = (error, message) => logFailure(parent.app.log, parts.id, error, message)
    const defaultRoute = (raw: unknown, rawReply: unknown): void => this.#notFound.handle(raw as IncomingMessage, rawReply as never)
    this.#root = createTenantRoot(parent, {
      ...parts,
      report: this.#report,
      defaultRoute,
      end: async () => { if (!this.#isClosing) await end(this.#isEnding) }
    })
    this.server = this.#root.server as unknown as TenantServer
    this.#hooks = new ApplicationHooks(this.#root, parent.internals, this.#report)
    this.#router = routerOf(this.#root, parent.internals)
    this.#notFound = new NotFound(this.#root, parent.internals)
  }

  /**
   * Boots the tenant.
   * @param name the name of the tenant's plugin in Fastify's messages
   * @param fill registers the tenant's code in its Fastify instance, which is an ordinary child context
   */
  async boot (name: string, fill: (instance: FastifyInstance) => Promise<void>): Promise<void> {
    let scope: FastifyInstance | undefined
    const plugin = async (instance: FastifyInstance): Promise<void> => {
      scope = instance
      await fill(instance)
    }
    await this.#root.register(withPluginName(plugin, name)).ready()
    const routes = contextsOf(this.#router)
    routes.forEach(checkRouteConfig)
    this.#parent.routes.overrides.warn(routes, this.#root.log)
    for (const route of routes) {
      noteOnResponse(route)
      noteHandler(route)
      if (this.#tenant !== undefined) this.#parent.tenantRequests.share(route, this.#tenant)
    }
    this.#notFound.prepare(scope as FastifyInstance, this.#parent.app, routes)
  }

  /** Sets `request.tenant` and `request.tenantId` for every request in `instance`, including injected ones. */
  bind (instance: FastifyInstance, tenant: Tenant): void {
    setRequestDefaults(instance, this.#parent.internals, { tenant, tenantId: tenant.id })
    this.#tenant = tenant
  }

  /**
   * Returns the tenant's route for a request of the app; `null` if the app answers. The order is: the tenant's route, the app's route,
   * the tenant's wildcard, the app's wildcard, the tenant's 404 handler, the app's 404 handler.
   * Returns a promise only if the tenant's routes have asynchronous constraints.
   * @param appContext the route that the app found; `null`, or a context without a URL, if the app has only its 404 handler
   */
  routeFor (request: FastifyRequest, appContext: RouteContext | null): RouteMatch | null | Promise<RouteMatch | null> {
    if (!hasAsyncConstraints(this.#router)) return this.#choose(this.#find(request.raw), request, appContext)
    return findRouteLater(this.#router, request.raw).then(found => this.#choose(found, request, appContext), () => this.#routeAgain())
  }

  /**
   * Returns the tenant's route for a request that the app has not routed. Returns `null` when the app has to route it: the app may have a
   * route that comes first, or the tenant has no route for the URL.
   */
  firstRouteFor (raw: IncomingMessage): RouteMatch | null {
    if (this.#reserved !== this.#parent.routes.reserved) this.#markRoutes()
    if (hasAsyncConstraints(this.#router) || this.server.intercepts) return null
    const found = findRoute(this.#router, raw)
    return found !== null && found.store !== null && (found.store as Marked)[kBeforeApp] === true ? found : null
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

  /** Marks the routes that come before every route of the app. */
  #markRoutes (): void {
    const { reserved } = this.#parent.routes
    this.#reserved = reserved
    for (const route of contextsOf(this.#router)) (route as Marked)[kBeforeApp] = !isWildcard(route) && !reserved.mayTakeFrom(route)
  }

  #find (raw: IncomingMessage): RouteMatch | null {
    try {
      return findRoute(this.#router, raw)
    } catch (thrown) {
      this.#report(thrown, 'a constraint of the tenant failed')
      throw asError(thrown)
    }
  }

  /** Lets the tenant's router run a failed constraint again, so that Fastify answers its error as usual, for example with `frameworkErrors`. */
  #routeAgain (): RouteMatch {
    return { handler: (raw, rawReply) => this.#root.routing(raw, rawReply), params: {}, store: null, searchParams: {} }
  }

  #choose (found: RouteMatch | null, request: FastifyRequest, appContext: RouteContext | null): RouteMatch | null {
    const appUrl = appContext?.config.url
    // The tenant's router refuses a parameter that is too long. The app's route comes before that error.
    if (found?.store === null && appUrl !== undefined) return null
    if (found !== null && (appUrl === undefined || !isWildcard(found.store) || isWildcard(appContext))) return found
    return appUrl === undefined ? this.#notFound.match(request) : null
  }
}
