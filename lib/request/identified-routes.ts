import type { IncomingMessage } from 'node:http'
import { ContextCopies } from '../fastify/context-copies.ts'
import { findRoute, hasAsyncConstraints } from '../fastify/router.ts'
import type { ParentApp } from '../app/parent-app.ts'
import type { OnRequestHook, RouteContext, RouteMatch } from '../fastify/shapes.ts'

/** The app's routes for requests that the fast path has identified: they do not run the plugin's hooks again. */
export class IdentifiedRoutes {
  readonly #parent: ParentApp
  readonly #resume: OnRequestHook
  /** Copies of the app's route contexts; at most one per route. */
  readonly #contexts = new ContextCopies(context => this.#make(context))

  /** @param resume the onRequest hook that goes on with a request whose response holds a lease */
  constructor (parent: ParentApp, resume: OnRequestHook) {
    this.#parent = parent
    this.#resume = resume
  }

  /** Returns the app's route for a request; `null` if there is none, or if its requests are identified in another way. */
  find (raw: IncomingMessage): RouteMatch | null {
    const { router } = this.#parent
    if (hasAsyncConstraints(router)) return null
    const found = findRoute(router, raw)
    if (found === null || found.store === null) return null
    const { tenant, identify } = found.store.config
    if (tenant === 'ignore' || identify !== undefined) return null
    found.store = this.#contexts.of(found.store)
    return found
  }

  /** The copy has the same properties in the same order as every other, so that V8 sees one kind of object for all routes. */
  #make (context: RouteContext): RouteContext {
    const { internals, order } = this.#parent
    const inherited = internals.get(context.server, 'hooks').onRequest
    const remaining = (context.onRequest as OnRequestHook[]).filter((_, at) => inherited[at] === undefined || !order.owns(inherited[at]))
    return Object.assign(Object.create(Object.getPrototypeOf(context)), context, { onRequest: [this.#resume, ...remaining] })
  }
}
