import type { IncomingMessage, ServerResponse } from 'node:http'
import { setEarlyTenantId } from './early-tenant-id.ts'
import { enterRoute } from '../fastify/enter-route.ts'
import { unroutedRequests } from '../fastify/unrouted-request.ts'
import { offerRequests } from '../app/request-listener.ts'
import { holdUntilClose } from '../leases/response-lease.ts'
import { debug } from '../utils/debug.ts'
import type { Identification } from '../identification/identification.ts'
import type { ParentApp } from '../app/parent-app.ts'
import type { RouteMatch } from '../fastify/shapes.ts'
import type { UnroutedRequests } from '../fastify/unrouted-request.ts'
import type { Generation } from '../tenants/generation.ts'
import type { TenantRegistry } from '../tenants/registry.ts'

/**
 * Passes a request to its tenant's route before the app routes it, if the identify hook would choose the same route: the head of the
 * request names the tenant, the tenant is loaded, and it has a route that comes first. The hook handles all other requests.
 */
export class FastPath {
  readonly #identification: Identification
  readonly #registry: TenantRegistry
  readonly #parent: ParentApp

  constructor (identification: Identification, registry: TenantRegistry, parent: ParentApp) {
    this.#identification = identification
    this.#registry = registry
    this.#parent = parent
  }

  /** Starts to take requests, unless other hooks of the app run before identification. Call this when the app is ready. */
  start (): void {
    const { app, internals, order } = this.#parent
    if (!order.isFirst) return
    const Unrouted = unroutedRequests(app, internals)
    offerRequests(app, internals, (raw, rawReply) => this.#take(raw, rawReply, Unrouted))
  }

  #take (raw: IncomingMessage, rawReply: ServerResponse, Unrouted: UnroutedRequests): boolean {
    const id = this.#identify(raw, Unrouted)
    if (id === undefined) return false
    const generation = this.#registry.active(id)
    if (generation === undefined || this.#registry.refusals.isFull(generation)) return false
    const route = this.#routeFor(generation, raw)
    if (route === null) {
      setEarlyTenantId(raw, id)
      return false
    }
    if (!holdUntilClose(generation.leases.acquire(rawReply), rawReply)) return false
    debug?.('%s %s: fast path to %s of %s', raw.method, raw.url, route.store?.config.url, id)
    enterRoute(route, raw, rawReply, this.#parent.app.log, id)
    return true
  }

  #routeFor (generation: Generation, raw: IncomingMessage): RouteMatch | null {
    try {
      return generation.routes.firstRouteFor(raw)
    } catch {
      // A constraint of the tenant threw, which would end the process here. The hook asks again, and the request fails.
      return null
    }
  }

  #identify (raw: IncomingMessage, Unrouted: UnroutedRequests): string | undefined {
    const strategy = this.#identification.strategyFor(undefined)
    // An OPTIONS request may be a preflight, which may name a tenant without proof.
    if (strategy.readsHeadOnly !== true || raw.method === 'OPTIONS') return undefined
    try {
      const id = this.#identification.answer(strategy, new Unrouted(raw))
      return typeof id === 'string' ? id : undefined
    } catch {
      // The hook asks again, and refuses the request.
      return undefined
    }
  }
}
