import type { FastifyInstance, FastifyRequest } from 'fastify'
import { FST_TENANT_REQUIRED } from '../errors.ts'
import { instanceOf } from '../scope/tenant-requests.ts'
import type { Internals } from '../fastify/internals.ts'
import type { RouteContext, RouteMatch } from '../fastify/shapes.ts'

/**
 * Routes as a preflight meets them that lacks a proof of its tenant. Their hooks run, those of @fastify/cors say, and answer it.
 * Their handlers refuse it: a forged preflight would reach one that is there for all methods.
 */
export class Preflights {
  readonly #app: FastifyInstance
  readonly #internals: Internals
  readonly #barred = new WeakMap<RouteContext, RouteContext>()

  constructor (app: FastifyInstance, internals: Internals) {
    this.#app = app
    this.#internals = internals
  }

  /** The way into a route with its handler barred. */
  barred (route: RouteMatch): RouteMatch {
    // The tenant's router would have to be asked once more.
    if (route.store === null) return { ...route, handler: (_raw, rawReply) => { rawReply.writeHead(400).end() } }
    return { ...route, store: this.#contextOf(route.store) }
  }

  /** Bars the handler of the route that a request is at. */
  bar (request: FastifyRequest): void {
    this.#internals.set(request, 'routeContext', this.#contextOf(this.#internals.contextOf(request)))
  }

  #contextOf (context: RouteContext): RouteContext {
    if (this.#isForOptions(context)) return context
    const made = this.#barred.get(context) ?? Object.create(context, { handler: { value: refuse } })
    this.#barred.set(context, made)
    return made
  }

  /** A route of the app for OPTIONS alone is there to answer preflights. */
  #isForOptions (context: RouteContext): boolean {
    if (context.config.method !== 'OPTIONS') return false
    return this.#internals.get(instanceOf(context), 'fourOhFour') === this.#internals.get(this.#app, 'fourOhFour')
  }
}

async function refuse (): Promise<never> {
  throw new FST_TENANT_REQUIRED()
}
