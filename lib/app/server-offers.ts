import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { isWildcard } from '../fastify/router.ts'
import { instanceOf } from '../scope/tenant-requests.ts'
import type { HandOver } from './hand-over.ts'
import type { TenantServer } from '../scope/tenant-server.ts'
import type { Internals } from '../fastify/internals.ts'
import type { RouteMatch } from '../fastify/shapes.ts'
import type { Upgrades } from './upgrades.ts'

/** A request of a tenant that is offered to listeners. */
export interface Offer {
  /** The tenant's server. */
  server: TenantServer
  /** The route that would answer; `null` if it is the request's current route of the app. */
  route: RouteMatch | null
  request: FastifyRequest
  reply: FastifyReply
  /** Called when a listener keeps the request. */
  onKept: () => void
  /** Called when no listener keeps the request. */
  goOn: (error?: unknown) => void
}

/** Offers requests and upgrades of a tenant to the listeners on the tenant's server. On every server, listeners come before routes. */
export class ServerOffers {
  readonly #internals: Internals
  readonly #upgrades: Upgrades
  readonly #handOver: HandOver

  constructor (internals: Internals, upgrades: Upgrades, handOver: HandOver) {
    this.#internals = internals
    this.#upgrades = upgrades
    this.#handOver = handOver
  }

  /** Whether a request has to be offered. Only the app's identification reaches listeners, never a route's own strategy. */
  applyTo (server: TenantServer, request: FastifyRequest): boolean {
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
    // The app's routes come before the tenant's listeners; the app's wildcards and 404 handler come after them.
    const isAppsOwn = context.config.url !== undefined && !isWildcard(context)
    if (isTenants || isAppsOwn || server.listenerCount('upgrade') === 0) return goOn()
    this.#handOver.detach(request, reply)
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
    // Do not use `hijack()`, which cannot be undone: a listener may still pass the request on.
    Object.defineProperty(reply, 'sent', { configurable: true, value: true })
    onKept()
  }
}
