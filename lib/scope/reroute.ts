import type { FastifyReply, FastifyRequest } from 'fastify'
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

  contextOf (context: RouteContext): RouteContext {
    const made = this.#contexts.get(context) ?? this.#make(context)
    this.#contexts.set(context, made)
    return made
  }

  #make (context: RouteContext): RouteContext {
    const { onRequest } = this.#internals.get(context.server, 'hooks')
    const left = context.onRequest?.slice(onRequest.indexOf(this.#identify) + 1) ?? []
    return Object.assign(Object.create(context), { onRequest: [this.#resume, ...left] })
  }
}

/** Runs a hook that never fails, and then another. */
export function inTurn (first: OnRequestHook, second: OnRequestHook): OnRequestHook {
  return function (request: FastifyRequest, reply: FastifyReply, done) {
    first(request, reply, () => second(request, reply, done))
  }
}
