import type { IncomingMessage } from 'node:http'
import type { FastifyInstance } from 'fastify'
import { FST_TENANT_FASTIFY_UNSUPPORTED } from '../errors.ts'
import type { Internals } from './internals.ts'
import type { ConstraintStrategy, RouteContext, RouteMatch, Router } from './shapes.ts'

/**
 * The find-my-way router of a Fastify instance, so that one look-up says which route answers and reaches it, where
 * `findRoute()` and `routing()` would be two. Fastify keeps it in a closure; find-my-way shows it when it binds
 * `buildPrettyMeta` to print the routes.
 * @throws FST_TENANT_FASTIFY_UNSUPPORTED when it does not
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
  // A method that no route has: there is nothing to print.
  instance.printRoutes({ method: '' as 'GET' })
  Reflect.deleteProperty(meta, 'bind')

  if (typeof router?.find !== 'function' || typeof router.constrainer?.deriveConstraints !== 'function') {
    throw new FST_TENANT_FASTIFY_UNSUPPORTED("find-my-way's router", instance.version)
  }
  return router
}

/** The constraint strategies that were added to a router, by name. */
export function customStrategies (router: Router): Record<string, ConstraintStrategy> {
  return Object.fromEntries(Object.entries(router.constrainer.strategies).filter(([, strategy]) => strategy.isCustom === true))
}

/** The route that answers a request, its constraints (version, host, ...) included; `null` when there is none. */
export function findRoute (router: Router, raw: IncomingMessage): RouteMatch | null {
  return router.find(raw.method, raw.url, router.constrainer.deriveConstraints(raw))
}

/** The same for a router with asynchronous constraint strategies. */
export function findRouteLater (router: Router, raw: IncomingMessage): Promise<RouteMatch | null> {
  return new Promise((resolve, reject) => {
    router.constrainer.deriveConstraints(raw, undefined, (error, constraints) => {
      if (error !== null) return reject(error)
      resolve(router.find(raw.method, raw.url, constraints))
    })
  })
}

/** Whether a route takes whatever no other route takes: `/*`. */
export function isWildcard (context: RouteContext | null): boolean {
  const url = context?.config.url
  return url !== undefined && url.charCodeAt(url.length - 1) === 42
}
