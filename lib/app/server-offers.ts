import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { isWildcard } from '../fastify/router.ts'
import { instanceOf } from '../scope/tenant-requests.ts'
import type { HandOver } from './hand-over.ts'
import type { TenantServer } from '../scope/tenant-server.ts'
import type { Internals } from '../fastify/internals.ts'
import type { RouteMatch } from '../fastify/shapes.ts'
import type { Upgrades } from './upgrades.ts'

/** A request of a tenant, and what is to become of it. */
export interface Offer {
  /** The tenant's. */
  server: TenantServer
  /** The route that would answer; `null` when it is the app's, the one that the request is at. */
  route: RouteMatch | null
  request: FastifyRequest
  reply: FastifyReply
  /** Called when a listener has kept the request to itself. */
  onKept: () => void
  /** Called when no listener keeps the request. */
  goOn: (error?: unknown) => void
}

/** Offers what came for a tenant to the listeners on the tenant's server, which on any server come before the routes. */
export class ServerOffers {
  readonly #internals: Internals
  readonly #upgrades: Upgrades
  readonly #handOver: HandOver

  constructor (internals: Internals, upgrades: Upgrades, handOver: HandOver) {
    this.#internals = internals
    this.#upgrades = upgrades
    this.#handOver = handOver
  }

  /** Whether there is anything to offer. Listeners are protected by the app's identification, and not by one that a route has for itself. */
  concern (server: TenantServer, request: FastifyRequest): boolean {
    if (!server.intercepts && !this.#upgrades.has(request.raw)) return false
    return this.#internals.contextOf(request).config.identify === undefined
  }

  make (offer: Offer): void {
    if (this.#upgrades.has(offer.request.raw)) this.#offerUpgrade(offer)
    else this.#offerRequest(offer)
  }

  #offerUpgrade ({ server, route, request, reply, goOn }: Offer): void {
    const context = route?.store ?? this.#internals.contextOf(request)
    const isTenants = instanceOf(context).server as unknown === server
    // The app's own routes come before the tenant's listeners, its wildcards and its 404 handler after them.
    const isAppsOwn = context.config.url !== undefined && !isWildcard(context)
    if (isTenants || isAppsOwn || server.listenerCount('upgrade') === 0) return goOn()
    this.#handOver.take(request, reply)
    this.#upgrades.passOn(server as unknown as FastifyInstance['server'], reply)
  }

  #offerRequest ({ server, request, reply, onKept, goOn }: Offer): void {
    let isKept = false
    const isPassed = server.offer(request.raw, reply.raw, error => {
      if (isKept) Reflect.deleteProperty(reply, 'sent')
      goOn(error)
    })
    if (isPassed) return
    isKept = true
    // As after `hijack()`, which could not be taken back: a listener may still pass the request on.
    Object.defineProperty(reply, 'sent', { configurable: true, value: true })
    onKept()
  }
}
