import type { FastifyRequest } from 'fastify'
import { answersForItself, isPreceded } from './reserved-routes.ts'
import { isVariable } from './route-url.ts'
import type { Internals } from '../fastify/internals.ts'
import type { RouteMatch } from '../fastify/shapes.ts'
import type { Reroute } from './reroute.ts'
import type { Scope } from '../scope/scope.ts'

/** Who answers a request that the app has routed: a route of its tenant, or a route of the app. */
export class RouteChoice {
  readonly #internals: Internals
  readonly #reroute: Reroute

  constructor (internals: Internals, reroute: Reroute) {
    this.#internals = internals
    this.#reroute = reroute
  }

  /**
   * The route that a request is to be handed over to; `null` when the app's own route, the one it is at, answers.
   * @param url what routes are to see as the URL; `request.originalUrl` keeps the whole
   */
  routeFor (scope: Scope, request: FastifyRequest, url: string | undefined): RouteMatch | null | Promise<RouteMatch | null> {
    const context = this.#internals.contextOf(request)
    const keeps = answersForItself(context.config)
    if (url === undefined || url === request.raw.url) return keeps ? null : scope.routeFor(request, context)
    this.#reroute.rewrite(request, url)
    const appRoute = this.#reroute.routeFor(request, context.config.identify)
    return keeps ? appRoute : this.#firstOf(scope, request, appRoute)
  }

  /** Whether a more exact route may come before the app's route that a request is at, which says itself what names its tenant. */
  mayBePreceded (request: FastifyRequest): boolean {
    const { url, override } = this.#internals.contextOf(request).config
    return override !== false && isVariable(url as string)
  }

  /** That route, for the tenant that the app's identification names; `null` when there is none. `url` as for `routeFor`. */
  async precedingRouteFor (scope: Scope, request: FastifyRequest, url: string | undefined): Promise<RouteMatch | null> {
    const context = this.#internals.contextOf(request)
    const isHere = url === undefined || url === request.raw.url
    const takeBack = isHere ? undefined : this.#reroute.rewrite(request, url)
    const route = await (isHere ? scope.routeFor(request, context) : this.#firstOf(scope, request, this.#reroute.routeFor(request, undefined)))
    if (isPreceded(context.config, route?.store?.config.url)) return route
    takeBack?.()
    return null
  }

  /** The tenant's route, or else the app's at the rewritten URL. */
  #firstOf (scope: Scope, request: FastifyRequest, appRoute: RouteMatch | null): RouteMatch | null | Promise<RouteMatch | null> {
    if (appRoute?.store?.config.override === false) return appRoute
    const route = scope.routeFor(request, appRoute?.store ?? null)
    return route instanceof Promise ? route.then(route => route ?? appRoute) : route ?? appRoute
  }
}
