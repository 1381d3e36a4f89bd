import type { IncomingMessage } from 'node:http'
import type { FastifyRequest } from 'fastify'
import { isWildcard } from '../fastify/router.ts'
import type { RouteContext, RouteMatch } from '../fastify/shapes.ts'
import type { Scope } from './scope.ts'

/** How exact a match is. The lowest rank wins; of two equal ranks, the tenant's own comes before its template's, and that before the app's. */
const EXACT = 0
const WILDCARD = 1
/** The router refuses the URL because a parameter is too long. Every route comes before that error. */
const REFUSED = 2
const NONE = 3

/** The routes of a tenant: those of its own scope, then those of its template's. Empty for a tenant that the app answers. */
export class TenantRoutes {
  readonly #scopes: readonly Scope[]

  /** @param scopes the tenant's own scope and that of its template, in this order, as far as it has them */
  constructor (scopes: readonly Scope[]) {
    this.#scopes = scopes
  }

  get scopes (): readonly Scope[] {
    return this.#scopes
  }

  /** Whether listeners on a server of the tenant come before routes. */
  get intercept (): boolean {
    return this.#scopes.some(({ server }) => server.intercepts)
  }

  /**
   * Returns the route for a request of the app; `null` if the app answers. The order is: the tenant's route, its template's, the app's, then
   * the wildcards in that order, then the 404 handlers in that order. Returns a promise only if routes have asynchronous constraints.
   * @param appContext the route that the app found; `null`, or a context without a URL, if the app has only its 404 handler
   */
  routeFor (request: FastifyRequest, appContext: RouteContext | null): RouteMatch | null | Promise<RouteMatch | null> {
    if (this.#scopes.length === 0) return null
    const found = this.#scopes.map(scope => scope.find(request.raw))
    if (found.some(route => route instanceof Promise)) return Promise.all(found).then(found => this.#choose(found, request, appContext))
    return this.#choose(found as Array<RouteMatch | null>, request, appContext)
  }

  /**
   * Returns the route for a request that the app has not routed. Returns `null` when the app has to route it: it may have a route that comes
   * first, or no scope has an exact route for the URL.
   */
  firstRouteFor (raw: IncomingMessage): RouteMatch | null {
    for (const scope of this.#scopes) {
      const route = scope.firstRouteFor(raw)
      if (route !== null) return route ?? null
    }
    return null
  }

  #choose (found: ReadonlyArray<RouteMatch | null>, request: FastifyRequest, appContext: RouteContext | null): RouteMatch | null {
    let best: RouteMatch | null = null
    let rank = NONE
    for (const route of found) {
      const own = rankOf(route)
      if (own >= rank) continue
      best = route
      rank = own
    }
    const appRank = rankOfContext(appContext)
    if (appRank < rank) return null
    return rank === NONE ? this.#notFound(request) : best
  }

  #notFound (request: FastifyRequest): RouteMatch | null {
    for (const scope of this.#scopes) {
      const handler = scope.notFoundFor(request)
      if (handler !== null) return handler
    }
    return null
  }
}

/** The routes of a tenant that the app answers. */
export const NO_ROUTES = new TenantRoutes([])

function rankOf (route: RouteMatch | null): number {
  if (route === null) return NONE
  return route.store === null ? REFUSED : rankOfContext(route.store)
}

function rankOfContext (context: RouteContext | null): number {
  if (context?.config.url === undefined) return NONE
  return isWildcard(context) ? WILDCARD : EXACT
}
