import type { IncomingMessage } from 'node:http'
import { ResumedRoutes } from '../app/resumed-routes.ts'
import { findRoute, hasAsyncConstraints } from '../fastify/router.ts'
import type { ParentApp } from '../app/parent-app.ts'
import type { OnRequestHook, RouteMatch } from '../fastify/shapes.ts'

/** The app's routes for requests that the fast path has identified: they do not run the plugin's hooks again. */
export class IdentifiedRoutes {
  readonly #parent: ParentApp
  readonly #routes: ResumedRoutes

  /** @param resume the onRequest hook that goes on with a request whose response holds a lease */
  constructor (parent: ParentApp, resume: OnRequestHook) {
    this.#parent = parent
    this.#routes = new ResumedRoutes(parent.internals, parent.order, resume)
  }

  /** Returns the app's route for a request; `null` if there is none, or if its requests are identified in another way. */
  find (raw: IncomingMessage): RouteMatch | null {
    const { router } = this.#parent
    if (hasAsyncConstraints(router)) return null
    const found = findRoute(router, raw)
    if (found === null || found.store === null) return null
    const { tenant, identify } = found.store.config
    if (tenant === 'ignore' || identify !== undefined) return null
    found.store = this.#routes.of(found.store)
    return found
  }
}
