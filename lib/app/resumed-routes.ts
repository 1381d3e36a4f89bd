import { ContextCopies } from '../fastify/context-copies.ts'
import type { OnRequestHook, RouteContext } from '../fastify/shapes.ts'
import type { ScopeParent } from '../scope/scope-parent.ts'
import type { HookOrder } from './hook-order.ts'

/** Copies of the app's route contexts for requests that have been identified. They run `resume` and the hooks after identification; at most one per route. */
export class ResumedRoutes {
  readonly #internals: ScopeParent['internals']
  readonly #order: HookOrder
  readonly #resume: OnRequestHook
  readonly #contexts = new ContextCopies(context => this.#make(context))

  /** @param resume the onRequest hook that goes on with a request whose response holds a lease */
  constructor (internals: ScopeParent['internals'], order: HookOrder, resume: OnRequestHook) {
    this.#internals = internals
    this.#order = order
    this.#resume = order.beforeResume(resume)
  }

  /** Returns the copy of a context. */
  of (context: RouteContext): RouteContext {
    return this.#contexts.of(context)
  }

  /** The copy has the same properties in the same order as every other, so that V8 sees one kind of object for all routes. */
  #make (context: RouteContext): RouteContext {
    // The hooks of the instance come first in the route's own list.
    const isOurs = this.#internals.get(context.server, 'hooks').onRequest.map(hook => this.#order.owns(hook))
    const identify = isOurs.indexOf(true)
    const remaining = context.onRequest?.filter((_, at) => at > identify && isOurs[at] !== true) ?? []
    return Object.assign(Object.create(Object.getPrototypeOf(context)), context, { onRequest: [this.#resume, ...remaining] })
  }
}
