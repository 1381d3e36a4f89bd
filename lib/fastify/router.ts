import type { IncomingMessage } from 'node:http'
import type { FastifyInstance } from 'fastify'
import { FST_TENANT_FASTIFY_UNSUPPORTED } from '../errors.ts'
import type { Internals } from './internals.ts'
import type { ConstraintStrategy, RouteContext, RouteMatch, Router } from './shapes.ts'

/**
 * Returns the find-my-way router of a Fastify instance. With the router, one look-up finds a route and its handler;
 * `app.findRoute()` followed by `app.routing()` would look twice.
 *
 * Fastify keeps the router in a closure. To print the routes, find-my-way calls `buildPrettyMeta.bind(router)`, so this function
 * replaces `bind` for one call of `printRoutes()`.
 * @throws {FST_TENANT_FASTIFY_UNSUPPORTED} when that call does not reveal the router
 */
export function routerOf (instance: FastifyInstance, internals: Internals): Router {
  const meta = internals.get(instance, 'options').routerOptions.buildPrettyMeta as () => unknown
  let router: Router | undefined
  Object.defineProperty(meta, 'bind', {
    configurable: true,
    value: (self: Router) => {
      router = self
      return meta
    }
  })
  // No route has this method, so find-my-way prints nothing.
  instance.printRoutes({ method: '' as 'GET' })
  Reflect.deleteProperty(meta, 'bind')

  if (typeof router?.find !== 'function' || typeof router.constrainer?.deriveConstraints !== 'function') {
    throw new FST_TENANT_FASTIFY_UNSUPPORTED("find-my-way's router", instance.version)
  }
  return router
}

/** Returns the contexts of a router's routes. A route with several methods has one context. */
export function contextsOf (router: Router): Set<RouteContext> {
  return new Set(router.routes.map(({ store }) => store))
}

/** Returns the constraint strategies that the user added to a router, by name. */
export function customStrategies (router: Router): Record<string, ConstraintStrategy> {
  return Object.fromEntries(Object.entries(router.constrainer.strategies).filter(([, strategy]) => strategy.isCustom === true))
}

/** Whether a route uses an asynchronous constraint strategy. If so, `findRouteLater()` must find the routes. */
export function hasAsyncConstraints (router: Router): boolean {
  return router.constrainer.asyncStrategiesInUse.size > 0
}

/** Returns the route for a request, with respect to its constraints (version, host, ...); `null` if there is none. */
export function findRoute (router: Router, raw: IncomingMessage): RouteMatch | null {
  return router.find(raw.method, raw.url, router.constrainer.deriveConstraints(raw))
}

/** The form of `findRoute()` for a router with asynchronous constraint strategies. */
export function findRouteLater (router: Router, raw: IncomingMessage): Promise<RouteMatch | null> {
  return new Promise((resolve, reject) => {
    router.constrainer.deriveConstraints(raw, undefined, (error, constraints) => {
      if (error !== null) return reject(error)
      resolve(router.find(raw.method, raw.url, constraints))
    })
  })
}

/** Whether the URL of a route ends with `*`. */
export function isWildcard (context: RouteContext | null): boolean {
  return context?.config.url?.endsWith('*') === true
}
