import type { IncomingMessage } from 'node:http'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { asError } from '../utils/as-error.ts'
import { logFailure } from '../utils/log-failure.ts'
import { ApplicationHooks } from './application-hooks.ts'
import { createTenantRoot } from './tenant-root.ts'
import { noteHandler } from '../leases/handling.ts'
import { NotFound } from './not-found.ts'
import { noteOnResponse } from '../leases/responding.ts'
import { checkRouteConfig } from './route-config.ts'
import { findRoute, findRouteLater, isWildcard, routerOf } from '../fastify/router.ts'
import type { Report } from '../utils/contained-call.ts'
import type { ScopeParts } from './tenant-root.ts'
import type { ParentRoutes, ScopeParent } from './scope-parent.ts'
import type { TenantServer } from './tenant-server.ts'
import type { RouteContext, RouteMatch, Router } from '../fastify/shapes.ts'
import type { Tenant } from '../../types/index.ts'

const kFirst = Symbol('fastify-multitenant.first')

/** A route that answers whatever the app has at its URL. */
interface Marked extends RouteContext { [kFirst]?: boolean }

/** One generation of a tenant inside Fastify: its grafted root, and the one child of it that holds all of the tenant's code. */
export class Scope {
  /** Stands where the tenant's HTTP server would be. */
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
  /** The reserved routes that `kFirst` was computed from. */
  #reserved: ParentRoutes['reserved'] | undefined

  constructor (parent: ScopeParent, { end, ...scion }: ScopeParts) {
    this.#parent = parent
    this.#report = (error, message) => logFailure(parent.app.log, scion.id, error, message)
    const defaultRoute = (raw: unknown, rawReply: unknown): void => this.#notFound.handle(raw as IncomingMessage, rawReply as never)
    this.#root = createTenantRoot(parent, { ...scion, report: this.#report, defaultRoute, end: async () => { if (!this.#isClosing) await end(this.#isEnding) } })
    this.server = this.#root.server as unknown as TenantServer
    this.#hooks = new ApplicationHooks(this.#root, parent.internals, this.#report)
    this.#router = routerOf(this.#root, parent.internals)
    this.#notFound = new NotFound(this.#root, parent.internals)
  }

  /**
   * Boots the tenant: `fill` gets its Fastify instance, made by Fastify's own encapsulation, and registers what the tenant has.
   */
  async boot (name: string, fill: (instance: FastifyInstance) => Promise<void>): Promise<void> {
    let scope: FastifyInstance | undefined
    const plugin = async (instance: FastifyInstance): Promise<void> => {
      scope = instance
      await fill(instance)
    }
    await this.#root.register(Object.assign(plugin, { [Symbol.for('fastify.display-name')]: name })).ready()
    const routes = new Set(this.#router.routes.map(({ store }) => store))
    routes.forEach(checkRouteConfig)
    this.#parent.routes.overrides.warn(routes, this.#root.log)
    for (const { store } of this.#router.routes) {
      noteOnResponse(store)
      noteHandler(store)
      if (this.#tenant !== undefined) this.#parent.tenantRequests.share(store, this.#tenant)
    }
    this.#notFound.settle(scope as FastifyInstance, this.#parent.app, this.#router.routes)
  }

  /** Every request that arrives in `instance` has this tenant, whatever brought it there. */
  bind (instance: FastifyInstance, tenant: Tenant): void {
    const { internals } = this.#parent
    const Request = internals.get(instance, 'Request')
    // The class reads its initial values from this very array, so they are replaced in place.
    for (const [index, { key }] of Request.props.entries()) {
      if (key === 'tenant') Request.props[index] = { key, value: tenant }
      if (key === 'tenantId') Request.props[index] = { key, value: tenant.id }
    }
    // Fastify passes over request classes that nothing was decorated on.
    internals.set(Request, 'hasBeenDecorated', true)
    this.#tenant = tenant
  }

  /**
   * The tenant's route for a request of the app, when it comes before what the app found: the tenant's own route, the app's
   * own, the tenant's wildcard, the app's wildcard, the tenant's 404 handler, the app's.
   * A promise only where the tenant's routes have asynchronous constraints.
   */
  routeFor (request: FastifyRequest, appContext: RouteContext | null): RouteMatch | null | Promise<RouteMatch | null> {
    if (this.#router.constrainer.asyncStrategiesInUse.size === 0) {
      return this.#choose(this.#find(request.raw), request, appContext)
    }
    return findRouteLater(this.#router, request.raw).then(found => this.#choose(found, request, appContext), () => this.#wayIn())
  }

  /**
   * The tenant's route for a request that the app has not seen. `null` when the app has to be asked: it may have a route that
   * comes before the tenant's, or none of the tenant's routes answers.
   */
  firstRouteFor (raw: IncomingMessage): RouteMatch | null {
    if (this.#reserved !== this.#parent.routes.reserved) this.#markFirst()
    if (this.#router.constrainer.asyncStrategiesInUse.size > 0 || this.server.intercepts) return null
    const found = findRoute(this.#router, raw)
    return found !== null && found.store !== null && (found.store as Marked)[kFirst] === true ? found : null
  }

  /** Tells the tenant that the app listens. */
  onListen (): void {
    this.server.tell('listening')
    this.#hooks.onListen()
  }

  /** Ends what would stay open for ever, WebSockets for example: runs the tenant's preClose hooks, then the `close()` of its server. Once. */
  async preClose (): Promise<void> {
    if (this.#isEnding) return
    this.#isEnding = true
    await this.#hooks.preClose()
    await new Promise<void>(resolve => { this.server.close(() => resolve()) })
  }

  /** Closes what the tenant opened: its onClose hooks run. */
  async close (): Promise<void> {
    this.#isEnding = this.#isClosing = true
    await this.#root.close()
  }

  /** Marks the routes that come before everything that the app has. */
  #markFirst (): void {
    const { reserved } = this.#parent.routes
    this.#reserved = reserved
    for (const { store } of this.#router.routes) (store as Marked)[kFirst] = !isWildcard(store) && !reserved.mayTakeFrom(store)
  }

  #find (raw: IncomingMessage): RouteMatch | null {
    try {
      return findRoute(this.#router, raw)
    } catch (thrown) {
      this.#report(thrown, 'a constraint of the tenant failed')
      throw asError(thrown)
    }
  }

  /** Where a constraint fails, the tenant's router asks it once more and answers as Fastify does, with `frameworkErrors` say. */
  #wayIn (): RouteMatch {
    return { handler: (raw, rawReply) => this.#root.routing(raw, rawReply), params: {}, store: null, searchParams: {} }
  }

  #choose (found: RouteMatch | null, request: FastifyRequest, appContext: RouteContext | null): RouteMatch | null {
    const appUrl = appContext?.config.url
    // The URL has a parameter that is too long for the tenant: the answer to that comes after all routes.
    if (found?.store === null && appUrl !== undefined) return null
    if (found !== null && (appUrl === undefined || !isWildcard(found.store) || isWildcard(appContext))) return found
    return appUrl === undefined ? this.#notFound.match(request) : null
  }
}
