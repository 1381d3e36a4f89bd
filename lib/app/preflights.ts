import type { FastifyInstance, FastifyRequest } from 'fastify'
import { FST_TENANT_REQUIRED } from '../errors.ts'
import { ContextCopies } from '../fastify/context-copies.ts'
import { instanceOf } from '../scope/tenant-requests.ts'
import type { Internals } from '../fastify/internals.ts'
import type { RouteContext, RouteMatch } from '../fastify/shapes.ts'

/**
 * Bars preflights without proof of their tenant from the handlers of routes: a forged preflight could reach a handler for all methods.
 * The hooks of the routes still run and may answer, for example those of @fastify/cors.
 */
export class Preflights {
  readonly #app: FastifyInstance
  readonly #internals: Internals
  readonly #barred = new ContextCopies(context => Object.create(context, { handler: { value: refuse } }))

  constructor (app: FastifyInstance, internals: Internals) {
    this.#app = app
    this.#internals = internals
  }

  /** Returns the route with its handler barred. */
  barred (route: RouteMatch): RouteMatch {
    // The tenant's router answers this request itself, so there is no context to bar.
    if (route.store === null) return { ...route, handler: (_raw, rawReply) => { rawReply.writeHead(400).end() } }
    return { ...route, store: this.#contextOf(route.store) }
  }

  /** Bars the handler of the request's current route. */
  bar (request: FastifyRequest): void {
    this.#internals.set(request, 'routeContext', this.#contextOf(this.#internals.contextOf(request)))
  }

  #contextOf (context: RouteContext): RouteContext {
    return this.#isForOptions(context) ? context : this.#barred.of(context)
  }

  /** Whether a route of the app serves only OPTIONS. It exists to answer preflights, so its handler is not barred. */
  #isForOptions (context: RouteContext): boolean {
    if (context.config.method !== 'OPTIONS') return false
    return this.#internals.get(instanceOf(context), 'fourOhFour') === this.#internals.get(this.#app, 'fourOhFour')
  }
}

async function refuse (): Promise<never> {
  throw new FST_TENANT_REQUIRED()
}
