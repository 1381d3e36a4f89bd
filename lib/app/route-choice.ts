import type { FastifyRequest } from 'fastify'
import { answersForItself, isPreceded } from './reserved-routes.ts'
import { isVariable } from './route-url.ts'
import type { Internals } from '../fastify/internals.ts'
import type { RouteMatch } from '../fastify/shapes.ts'
import type { Reroute } from './reroute.ts'
import type { TenantRoutes } from '../scope/tenant-routes.ts'

/** Chooses who answers a request that the app has routed: a route of its tenant, or a route of the app. */
export class RouteChoice {
  readonly #internals: Internals
  readonly #reroute: Reroute

  constructor (internals: Internals, reroute: Reroute) {
    this.#internals = internals
    this.#reroute = reroute
  }

  /**
   * Returns the route to hand a request over to; `null` if its current route of the app answers.
   * @param url the URL that routes see; `request.originalUrl` keeps the original
   */
  routeFor (routes: TenantRoutes, request: FastifyRequest, url: string | undefined): RouteMatch | null | Promise<RouteMatch | null> {
    const context = this.#internals.contextOf(request)
    const isReserved = answersForItself(context.config)
    if (url === undefined || url === request.raw.url) return isReserved ? null : routes.routeFor(request, context)
    this.#reroute.rewrite(request, url)
    const appRoute = this.#reroute.routeFor(request, context.config.identify)
    return isReserved ? appRoute : this.#firstOf(routes, request, appRoute)
  }

  /** Whether a more exact route may come before the request's current route, which has a strategy of its own. */
  mayBePreceded (request: FastifyRequest): boolean {
    const { url, override } = this.#internals.contextOf(request).config
    return override !== false && isVariable(url as string)
  }

  /** Returns the tenant's route that comes before the request's current route because it is more exact; `null` if there is none. Takes the same `url` as `routeFor`. */
  async precedingRouteFor (routes: TenantRoutes, request: FastifyRequest, url: string | undefined): Promise<RouteMatch | null> {
    const context = this.#internals.contextOf(request)
    const isHere = url === undefined || url === request.raw.url
    const undoRewrite = isHere ? undefined : this.#reroute.rewrite(request, url)
    const route = await (isHere ? routes.routeFor(request, context) : this.#firstOf(routes, request, this.#reroute.routeFor(request, undefined)))
    if (isPreceded(context.config, route?.store?.config.url)) return route
    undoRewrite?.()
    return null
  }

  /** Returns the tenant's route, else the app's route at the rewritten URL. */
  #firstOf (routes: TenantRoutes, request: FastifyRequest, appRoute: RouteMatch | null): RouteMatch | null | Promise<RouteMatch | null> {
    if (appRoute?.store?.config.override === false) return appRoute
    const route = routes.routeFor(request, appRoute?.store ?? null)
    return route instanceof Promise ? route.then(route => route ?? appRoute) : route ?? appRoute
  }
}
