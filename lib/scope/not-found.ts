import type { IncomingMessage, ServerResponse } from 'node:http'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { noteHandler } from '../leases/handling.ts'
import { noteOnResponse } from '../leases/responding.ts'
import { instanceOf } from './tenant-requests.ts'
import type { Internals } from '../fastify/internals.ts'
import type { RouteContext, RouteHandler, RouteMatch, Router } from '../fastify/shapes.ts'

/**
 * What a tenant answers where it has no route. Its root has no trees in its 404 router unless the tenant itself
 * set a handler below a prefix, so the tenant's handler is reached from here.
 */
export class NotFound {
  readonly #root: FastifyInstance
  readonly #internals: Internals
  readonly #router: Router
  readonly #handle: RouteHandler

  constructor (root: FastifyInstance, internals: Internals) {
    this.#root = root
    this.#internals = internals
    this.#router = internals.get(root, 'fourOhFour').router
    this.#handle = routeHandlerOf(root, internals)
  }

  /** The way into the tenant's own 404 handler; `null` when it set none for this URL. */
  match (request: FastifyRequest): RouteMatch | null {
    const nested = this.#nested(request.raw)
    if (nested !== null) return nested
    if (this.#internals.get(this.#root, 'canSetNotFoundHandler')) return null
    const store = this.#internals.get(this.#root, 'fourOhFourContext')
    return { handler: this.#handle, params: request.params, store, searchParams: request.query }
  }

  /** Answers with the tenant's 404 handler, else with the app's. */
  handle (raw: IncomingMessage, rawReply: ServerResponse): void {
    const { params, store, searchParams } = this.#nested(raw) ?? { params: {}, store: this.#internals.get(this.#root, 'fourOhFourContext'), searchParams: {} }
    this.#handle(raw, rawReply, params, store, searchParams)
  }

  /**
   * To be called when the tenant is loaded: where it set no handler of its own, the app's is what its routes
   * reach with `reply.callNotFound()`.
   */
  settle (scope: FastifyInstance, app: FastifyInstance, routes: Router['routes']): void {
    noteOnResponse(this.#internals.get(this.#root, 'fourOhFourContext'))
    noteHandler(this.#internals.get(this.#root, 'fourOhFourContext'))
    this.#router.routes.forEach(({ store }) => noteHandler(store))
    if (!this.#internals.get(this.#root, 'canSetNotFoundHandler')) return
    const context = this.#appContext(scope, app)
    for (const { store } of routes) {
      // A plugin of the tenant with a prefix may have a handler of its own.
      if (this.#internals.get(instanceOf(store), 'fourOhFourContext') !== this.#internals.get(this.#root, 'fourOhFourContext')) continue
      this.#internals.set(store, 'fourOhFourContext', Object.create(context, { onSend: { value: store.onSend } }))
    }
    this.#internals.set(this.#root, 'fourOhFourContext', context)
  }

  /** A handler that the tenant set below a prefix. */
  #nested (raw: IncomingMessage): RouteMatch | null {
    return this.#router.find(raw.method, raw.url, undefined)
  }

  /** The app's 404 handler with its hooks, as a request meets it that is in the tenant's scope already. */
  #appContext (scope: FastifyInstance, app: FastifyInstance): RouteContext {
    const { onRequest } = this.#internals.get(this.#root, 'fourOhFourContext')
    const properties = {
      server: scope,
      Request: this.#internals.get(scope, 'Request'),
      Reply: this.#internals.get(scope, 'Reply'),
      onRequest
    }
    return Object.assign(Object.create(this.#internals.get(app, 'fourOhFourContext')), properties)
  }
}

/** Fastify passes its entry into a route to the 404 module only, so this listens there for one call. */
function routeHandlerOf (root: FastifyInstance, internals: Internals): RouteHandler {
  const fourOhFour = internals.get(root, 'fourOhFour')
  const { setNotFoundHandler } = fourOhFour
  let handle: RouteHandler | undefined
  fourOhFour.setNotFoundHandler = (_options, _handler, _avvio, routeHandler) => { handle = routeHandler }
  root.setNotFoundHandler(() => {})
  fourOhFour.setNotFoundHandler = setNotFoundHandler
  return handle as RouteHandler
}
