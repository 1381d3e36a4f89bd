import type { RouteContext } from './shapes.ts'

/** Changed copies of route contexts. It makes each copy once, and forgets it with its route. */
export class ContextCopies {
  readonly #copies = new WeakMap<RouteContext, RouteContext>()
  readonly #make: (context: RouteContext) => RouteContext

  constructor (make: (context: RouteContext) => RouteContext) {
    this.#make = make
  }

  /** Returns the copy of a context. */
  of (context: RouteContext): RouteContext {
    const known = this.#copies.get(context)
    if (known !== undefined) return known
    const copy = this.#make(context)
    this.#copies.set(context, copy)
    return copy
  }
}
