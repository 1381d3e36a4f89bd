import type { FastifyReply, FastifyRequest } from 'fastify'
import { enterRoute } from '../fastify/enter-route.ts'
import { setAppReply } from './app-reply.ts'
import { instanceOf } from '../scope/tenant-requests.ts'
import type { Internals } from '../fastify/internals.ts'
import type { RouteContext, RouteMatch } from '../fastify/shapes.ts'
import type { Upgrades } from './upgrades.ts'

/** Hands requests that the app received over to other routes than it found for them. */
export class HandOver {
  readonly #internals: Internals
  readonly #upgrades: Upgrades
  /** The contexts of the app's routes with the end of the request taken off; as many as the app has routes. */
  readonly #muted = new WeakMap<RouteContext, RouteContext>()

  constructor (internals: Internals, upgrades: Upgrades) {
    this.#internals = internals
    this.#upgrades = upgrades
  }

  /** Gives the raw request and reply to the route. Its request goes through the app's hooks there, and not here. */
  run (request: FastifyRequest, reply: FastifyReply, route: RouteMatch, tenantId: string): void {
    this.take(request, reply)
    if (route.store !== null && this.#upgrades.passOn(instanceOf(route.store).server, reply)) return
    enterRoute(route, request.raw, reply.raw, request.log, tenantId)
  }

  /** Ends what the app does with the request. */
  take (request: FastifyRequest, reply: FastifyReply): void {
    setAppReply(request.raw, reply)
    this.#internals.set(request, 'routeContext', this.#mute(this.#internals.contextOf(request)))
    reply.hijack()
  }

  /** Without the onResponse hooks and the "request completed" line: both are the inner reply's. */
  #mute (context: RouteContext): RouteContext {
    const known = this.#muted.get(context)
    if (known !== undefined) return known
    const muted = Object.create(context, { onResponse: { value: [endHere] } })
    this.#muted.set(context, muted)
    return muted
  }
}

/** An onResponse hook that never calls on: Fastify writes its line when the last hook has. */
function endHere (): void {}
