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
  /** By the route that the request was at and the one it goes to. */
  readonly #contexts = new WeakMap<RouteContext, WeakMap<RouteContext, RouteContext>>()

  /** @param resume runs in place of `identify` and the hooks before it */
  constructor (internals: Internals, identify: OnRequestHook, resume: OnRequestHook) {
    this.#internals = internals
    this.#identify = identify
    this.#resume = resume
  }

  /** @param before the route that the request was at */
  contextOf (context: RouteContext, before: RouteContext): RouteContext {
    const contexts = this.#contexts.get(before) ?? new WeakMap<RouteContext, RouteContext>()
    this.#contexts.set(before, contexts)
    const made = contexts.get(context) ?? this.#make(context, before)
    contexts.set(context, made)
    return made
  }

  #make (context: RouteContext, before: RouteContext): RouteContext {
    const { onRequest } = this.#internals.get(context.server, 'hooks')
    const left = context.onRequest?.slice(onRequest.indexOf(this.#identify) + 1) ?? []
    const onRequestAbort = this.#newOnRequestAbort(context, before)
    return Object.assign(Object.create(context), {
      onRequest: [this.#resume, ...left],
      onRequestAbort: onRequestAbort.length === 0 ? null : onRequestAbort
    })
  }

  /** Those that do not listen since the first time. A route has its instance's hooks, bound, and then its own. */
  #newOnRequestAbort (context: RouteContext, before: RouteContext): unknown[] {
    const listening = new Set(this.#internals.get(before.server, 'hooks')['onRequestAbort'])
    const hooks = this.#internals.get(context.server, 'hooks')['onRequestAbort'] ?? []
    return (context.onRequestAbort ?? []).filter((_bound, index) => !listening.has(hooks[index]))
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
