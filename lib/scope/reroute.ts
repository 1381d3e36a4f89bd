import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Internals, OnRequestHook, RouteContext } from './internals.ts'

/**
 * Routes of the app as a request meets them that the app has seen already, at the URL it had before the tenant's part was taken
 * off. What ran for it then does not run again.
 */
export class Reroute {
  readonly #internals: Internals
  readonly #identify: OnRequestHook
  readonly #resume: OnRequestHook
  /** As many as the app has routes. */
  readonly #contexts = new WeakMap<RouteContext, RouteContext>()

  /** @param resume runs in place of `identify` and the hooks before it */
  constructor (internals: Internals, identify: OnRequestHook, resume: OnRequestHook) {
    this.#internals = internals
    this.#identify = identify
    this.#resume = resume
  }

  /** @param before the route that the request was at */
  contextOf (context: RouteContext, before: RouteContext): RouteContext {
    const known = this.#contexts.get(context)
    if (known !== undefined) return known
    const made: RouteContext = Object.create(context)
    made.onRequest = [this.#resume, ...this.#left(context)]
    // The app's hooks listen for the abort since the first time; those that only this route has come after them.
    const onRequestAbort = context.onRequestAbort?.slice(before.onRequestAbort?.length ?? 0) ?? []
    made.onRequestAbort = onRequestAbort.length === 0 ? null : onRequestAbort
    this.#contexts.set(context, made)
    return made
  }

  #left ({ server, onRequest }: RouteContext): OnRequestHook[] {
    const ran = this.#internals.get(server, 'hooks').onRequest.indexOf(this.#identify) + 1
    return onRequest?.slice(ran) ?? []
  }
}

/** Runs two hooks, one after the other. */
export function inTurn (first: OnRequestHook, second: OnRequestHook): OnRequestHook {
  return function (this: FastifyInstance, request: FastifyRequest, reply: FastifyReply, done) {
    first.call(this, request, reply, error => {
      if (error !== undefined) return done(error)
      second.call(this, request, reply, done)
    })
  }
}
