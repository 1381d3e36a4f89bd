import type { IncomingMessage, ServerResponse } from 'node:http'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { closurePartsOf } from '../fastify/closure-parts.ts'
import { contextsOf } from '../fastify/router.ts'
import { noteHandler } from '../leases/handler-end.ts'
import { noteOnResponse } from '../leases/on-response-end.ts'
import { instanceOf } from './tenant-requests.ts'
import type { Internals } from '../fastify/internals.ts'
import type { RouteContext, RouteHandler, RouteMatch, Router } from '../fastify/shapes.ts'

/**
 * The 404 handlers of a tenant. The root has no route in its 404 router, which saves memory. This class calls the root's handler itself,
 * and finds the handlers below a prefix in that router.
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
    this.#handle = closurePartsOf(root, internals).entry
  }

  /** Returns the tenant's own 404 handler for a request; `null` if the tenant did not set one for this URL. */
  match (request: FastifyRequest): RouteMatch | null {
    const nested = this.#nested(request.raw)
    if (nested !== null) return nested
    if (!this.#hasOwnHandler) return null
    return { handler: this.#handle, params: request.params, store: this.#context, searchParams: request.query }
  }

  /** Runs the tenant's 404 handler, or that of the app if the tenant has none. */
  handle (raw: IncomingMessage, rawReply: ServerResponse): void {
    const { params, store, searchParams } = this.#nested(raw) ?? { params: {}, store: this.#context, searchParams: {} }
    this.#handle(raw, rawReply, params, store, searchParams)
  }

  /**
   * Call this when the tenant has loaded. If the tenant did not set a handler, `reply.callNotFound()` in its routes runs the app's
   * handler from here on.
   */
  prepare (scope: FastifyInstance, app: FastifyInstance, contexts: Iterable<RouteContext>): void {
    noteOnResponse(this.#context)
    noteHandler(this.#context)
    contextsOf(this.#router).forEach(noteHandler)
    if (this.#hasOwnHandler) return
    const context = this.#appContext(scope, app)
    for (const route of contexts) {
      // A plugin with a prefix may have set its own handler for its routes.
      if (this.#internals.get(instanceOf(route), 'fourOhFourContext') !== this.#context) continue
      this.#internals.set(route, 'fourOhFourContext', Object.create(context, { onSend: { value: route.onSend } }))
    }
    this.#internals.set(this.#root, 'fourOhFourContext', context)
  }

  /** The contexts of all handlers, also of the app's handler as the tenant's routes call it. */
  contexts (): RouteContext[] {
    return [this.#context, ...contextsOf(this.#router)]
  }

  /** Whether the tenant set a handler for its whole root. */
  get #hasOwnHandler (): boolean {
    return !this.#internals.get(this.#root, 'canSetNotFoundHandler')
  }

  /** The context of the root's handler. */
  get #context (): RouteContext {
    return this.#internals.get(this.#root, 'fourOhFourContext')
  }

  /** Finds a handler that the tenant set below a prefix. */
  #nested (raw: IncomingMessage): RouteMatch | null {
    return this.#router.find(raw.method, raw.url, undefined)
  }

  /** Returns the context of the app's 404 handler for requests that are already in the tenant's scope. */
  #appContext (scope: FastifyInstance, app: FastifyInstance): RouteContext {
    const properties = {
      server: scope,
      Request: this.#internals.get(scope, 'Request'),
      Reply: this.#internals.get(scope, 'Reply'),
      onRequest: this.#context.onRequest
    }
    return Object.assign(Object.create(this.#internals.get(app, 'fourOhFourContext')), properties)
  }
}
