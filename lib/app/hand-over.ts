import type { FastifyReply, FastifyRequest } from 'fastify'
import { ContextCopies } from '../fastify/context-copies.ts'
import { enterRoute } from '../fastify/enter-route.ts'
import { setAppReply } from './app-reply.ts'
import { instanceOf } from '../scope/tenant-requests.ts'
import type { Internals } from '../fastify/internals.ts'
import type { RouteContext, RouteMatch } from '../fastify/shapes.ts'
import type { Upgrades } from './upgrades.ts'

/** Hands requests of the app over to other routes. */
export class HandOver {
  readonly #internals: Internals
  readonly #upgrades: Upgrades
  /** Copies of the app's route contexts without completion hooks and log line; at most one per route. */
  readonly #muted = new ContextCopies(mute)

  constructor (internals: Internals, upgrades: Upgrades) {
    this.#internals = internals
    this.#upgrades = upgrades
  }

  /** Passes the raw request and reply to the route. The app's remaining hooks run there, not here. */
  run (request: FastifyRequest, reply: FastifyReply, route: RouteMatch, tenantId: string): void {
    this.detach(request, reply)
    if (route.store !== null && this.#upgrades.passOn(instanceOf(route.store).server, reply)) return
    enterRoute(route, request.raw, reply.raw, request.log, tenantId)
  }

  /** Stops the app's own handling of the request. */
  detach (request: FastifyRequest, reply: FastifyReply): void {
    setAppReply(request.raw, reply)
    this.#internals.set(request, 'routeContext', this.#muted.of(this.#internals.contextOf(request)))
    reply.hijack()
  }
}

/** Removes the onResponse hooks and the "request completed" line, because the route that answers has its own. */
function mute (context: RouteContext): RouteContext {
  return Object.create(context, { onResponse: { value: [neverDone] } })
}

/** Never calls `done`, so Fastify does not write the line that follows the last onResponse hook. */
function neverDone (): void {}
