import type { FastifyContextConfig, FastifyRequest } from 'fastify'
import { withAppRequestId } from './app-reply.ts'
import { findRoute } from '../fastify/router.ts'
import type { HookOrder, PluginHooks } from './hook-order.ts'
import type { ParentApp } from './parent-app.ts'
import type { RouteContext, RouteMatch } from '../fastify/shapes.ts'

type Rewritten = FastifyRequest['raw'] & { originalUrl?: string | undefined }

/**
 * Routes of the app as a request meets them that the app has seen already, at the URL it had before the tenant's part was taken
 * off. What ran for it then does not run again.
 */
export class Reroute {
  readonly #host: ParentApp
  readonly #order: HookOrder
  readonly #identify: PluginHooks['identify']
  /** As many as the app has routes. */
  readonly #contexts = new WeakMap<RouteContext, RouteContext>()
  #open = false

  constructor (host: ParentApp, order: HookOrder, { identify }: PluginHooks) {
    this.#host = host
    this.#order = order
    this.#identify = identify
  }

  /** Makes `url` what routes see; `request.originalUrl` keeps the whole. Returns a function that takes this back. */
  rewrite (request: FastifyRequest, url: string): () => void {
    const raw: Rewritten = request.raw
    const { url: before, originalUrl } = raw
    raw.originalUrl ??= raw.url
    raw.url = url
    if (!this.#open) this.#start()
    return () => Object.assign(raw, { url: before, originalUrl })
  }

  /**
   * The app's route at the rewritten URL. A route is there only for the identification that it says, or that it leaves to the app:
   * a URL would do otherwise where the route asks for a token.
   * @param identify what the tenant was named by: the `identify` of a route, or `undefined` for the app's
   */
  routeFor (request: FastifyRequest, identify: FastifyContextConfig['identify']): RouteMatch | null {
    const found = findRoute(this.#host.router, request.raw)
    if (found === null || found.store === null) return found
    if (found.store.config.identify !== identify) return null
    return { ...found, store: this.#contextOf(found.store) }
  }

  /** From the first one on the app hands requests over to routes of its own: they keep their id and their one "incoming request" line. */
  #start (): void {
    const { app, internals } = this.#host
    this.#open = true
    internals.set(app, 'genReqId', withAppRequestId(internals.get(app, 'genReqId')))
    this.#order.openReroute()
  }

  #contextOf (context: RouteContext): RouteContext {
    const made = this.#contexts.get(context) ?? this.#make(context)
    this.#contexts.set(context, made)
    return made
  }

  #make (context: RouteContext): RouteContext {
    const { onRequest } = this.#host.internals.get(context.server, 'hooks')
    const left = context.onRequest?.slice(onRequest.indexOf(this.#identify) + 1) ?? []
    return Object.assign(Object.create(context), { onRequest: [this.#order.resume, ...left] })
  }
}
