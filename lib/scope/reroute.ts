import type { FastifyRequest } from 'fastify'
import { namesTenant } from './kept-routes.ts'
import { outerId } from './outer.ts'
import { findRoute } from './router.ts'
import type { HookOrder, PluginHooks } from './hook-order.ts'
import type { HostApp } from './host-app.ts'
import type { RouteContext, RouteMatch } from './internals.ts'

/**
 * Routes of the app as a request meets them that the app has seen already, at the URL it had before the tenant's part was taken
 * off. What ran for it then does not run again.
 */
export class Reroute {
  readonly #host: HostApp
  readonly #order: HookOrder
  readonly #identify: PluginHooks['identify']
  /** As many as the app has routes. */
  readonly #contexts = new WeakMap<RouteContext, RouteContext>()
  #open = false

  constructor (host: HostApp, order: HookOrder, { identify }: PluginHooks) {
    this.#host = host
    this.#order = order
    this.#identify = identify
  }

  /** Makes `url` what routes see; `request.originalUrl` keeps the whole. */
  rewrite (request: FastifyRequest, url: string): void {
    const raw = request.raw as typeof request.raw & { originalUrl?: string }
    raw.originalUrl ??= raw.url
    raw.url = url
    if (!this.#open) this.#start()
  }

  /**
   * The app's route at the rewritten URL. One that says itself what names its tenant is not there for another strategy: a URL
   * would do then where the route asks for a token.
   */
  routeFor (request: FastifyRequest): RouteMatch | null {
    const found = findRoute(this.#host.router, request.raw)
    if (found === null || found.store === null) return found
    const { config } = found.store
    if (namesTenant(config) && config.identify !== this.#host.configOf(request).identify) return null
    return { ...found, store: this.#contextOf(found.store) }
  }

  /** From the first one on the app hands requests over to routes of its own: they keep their id and their one "incoming request" line. */
  #start (): void {
    const { app, internals } = this.#host
    this.#open = true
    internals.set(app, 'genReqId', outerId(internals.get(app, 'genReqId')))
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
