import type { IncomingMessage, ServerResponse } from 'node:http'
import type { FastifyRequest } from 'fastify'
import { AppAnswer } from './app-answer.ts'
import { IdentifiedRoutes } from './identified-routes.ts'
import { setEarlyTenantId } from './early-tenant-id.ts'
import { enterRoute } from '../fastify/enter-route.ts'
import { unroutedRequests } from '../fastify/unrouted-request.ts'
import { offerRequests } from '../app/request-listener.ts'
import { holdUntilClose } from '../leases/response-lease.ts'
import { debug } from '../utils/debug.ts'
import type { Identification } from '../identification/identification.ts'
import type { ParentApp } from '../app/parent-app.ts'
import type { RouteMatch } from '../fastify/shapes.ts'
import type { TenantRoutes } from '../scope/tenant-routes.ts'
import type { Generation } from '../tenants/generation.ts'
import type { TenantRegistry } from '../tenants/registry.ts'

/**
 * Passes a request to a route before the app routes it, if the identify hook would choose the same route: the head of the request names
 * the tenant, the tenant is loaded, and a route of the tenant comes first or only the app has one. The hook handles all other requests.
 */
export class FastPath {
  readonly #identification: Identification
  readonly #registry: TenantRegistry
  readonly #parent: ParentApp
  readonly #appRoutes: IdentifiedRoutes

  constructor (identification: Identification, registry: TenantRegistry, parent: ParentApp) {
    this.#identification = identification
    this.#registry = registry
    this.#parent = parent
    this.#appRoutes = new IdentifiedRoutes(parent, new AppAnswer(parent).resume)
  }

  /** Starts to take requests, unless other hooks of the app run before identification. Call this when the app is ready. */
  start (): void {
    const { app, internals, order } = this.#parent
    if (!order.isFirst) return
    const Unrouted = unroutedRequests(app, internals)
    offerRequests(app, internals, (raw, rawReply) => this.#take(new Unrouted(raw), raw, rawReply))
  }

  #take (request: FastifyRequest, raw: IncomingMessage, rawReply: ServerResponse): boolean {
    const id = this.#identify(request)
    if (id === undefined) return false
    const generation = this.#registry.active(id)
    if (generation === undefined || this.#registry.refusals.isFull(generation)) return false
    const route = this.#routeFor(generation, request)
    if (route === null) {
      setEarlyTenantId(raw, id)
      return false
    }
    if (!holdUntilClose(generation.leases.acquire(rawReply), rawReply)) return false
    debug?.('%s %s: fast path to %s for %s', raw.method, raw.url, route.store?.config.url, id)
    enterRoute(route, raw, rawReply, this.#parent.app.log, id)
    return true
  }

  #routeFor ({ routes }: Generation, request: FastifyRequest): RouteMatch | null {
    try {
      return routes.firstRouteFor(request.raw) ?? this.#sharedRouteFor(routes, request)
    } catch {
      // A constraint threw, which would end the process here. The hook asks again, and the request fails.
      return null
    }
  }

  /** Returns the app's route if the tenant has none that comes before it. */
  #sharedRouteFor (routes: TenantRoutes, request: FastifyRequest): RouteMatch | null {
    const route = this.#appRoutes.find(request.raw)
    if (route === null || routes.intercept) return null
    return routes.routeFor(request, route.store) === null ? route : null
  }

  #identify (request: FastifyRequest): string | undefined {
    const strategy = this.#identification.strategyFor(undefined)
    // An OPTIONS request may be a preflight, which may name a tenant without proof.
    if (strategy.readsHeadOnly !== true || request.method === 'OPTIONS') return undefined
    try {
      const id = this.#identification.answer(strategy, request)
      if (typeof id !== 'string') return undefined
      // The hook finds the route of a URL that the strategy changes.
      return (this.#identification.url(strategy, request, id) ?? request.url) === request.url ? id : undefined
    } catch {
      // The hook asks again, and refuses the request.
      return undefined
    }
  }
}
