import type { FastifyContextConfig, FastifyRequest } from 'fastify'
import { withAppRequestId } from './app-reply.ts'
import { findRoute } from '../fastify/router.ts'
import { ResumedRoutes } from './resumed-routes.ts'
import type { HookOrder } from './hook-order.ts'
import type { ScopeParent } from '../scope/scope-parent.ts'
import type { OnRequestHook, RouteMatch } from '../fastify/shapes.ts'

type Rewritten = FastifyRequest['raw'] & { originalUrl?: string | undefined }

/** Finds the app's route for a request whose URL was rewritten. Hooks that ran for the original URL do not run again. */
export class Reroute {
  readonly #parent: Pick<ScopeParent, 'app' | 'internals' | 'router'>
  readonly #order: HookOrder
  readonly #routes: ResumedRoutes
  #started = false

  /** @param resume the onRequest hook that goes on with a request that was identified under another URL */
  constructor (parent: Pick<ScopeParent, 'app' | 'internals' | 'router'>, order: HookOrder, resume: OnRequestHook) {
    this.#parent = parent
    this.#order = order
    this.#routes = new ResumedRoutes(parent.internals, order, resume)
  }

  /** Makes routes see `url`; `request.originalUrl` keeps the original. Returns a function that undoes this. */
  rewrite (request: FastifyRequest, url: string): () => void {
    const raw: Rewritten = request.raw
    const { url: before, originalUrl } = raw
    raw.originalUrl ??= raw.url
    raw.url = url
    if (!this.#started) this.#start()
    return () => Object.assign(raw, { url: before, originalUrl })
  }

  /**
   * Returns the app's route at the rewritten URL. A route with its own `identify` is skipped unless that strategy identified the request.
   * Otherwise a URL could reach a route that requires a token.
   * @param identify the `identify` of the route that named the tenant; `undefined` for the app's strategy
   */
  routeFor (request: FastifyRequest, identify: FastifyContextConfig['identify']): RouteMatch | null {
    const found = findRoute(this.#parent.router, request.raw)
    if (found === null || found.store === null) return found
    if (found.store.config.identify !== identify) return null
    return { ...found, store: this.#routes.of(found.store) }
  }

  /** From the first rewrite on, the app hands requests over to its own routes. They keep their id and their single "incoming request" line. */
  #start (): void {
    const { app, internals } = this.#parent
    this.#started = true
    internals.set(app, 'genReqId', withAppRequestId(internals.get(app, 'genReqId')))
    this.#order.openReroute()
  }
}
