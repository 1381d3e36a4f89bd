import type { FastifyContextConfig } from 'fastify'
import { isMoreExact, mayOverlap } from './route-url.ts'
import type { RouteContext, Router } from '../fastify/shapes.ts'

/** The routes of the app that a tenant cannot override: those without tenants (`tenant: 'ignore'`) and those that answer for themselves. */
export class ReservedRoutes {
  readonly #configs: ReadonlyArray<RouteContext['config']>

  /** Create this when all routes of the app are known. */
  constructor ({ routes }: Router) {
    this.#configs = routes.map(({ store }) => store.config).filter(config => config.tenant === 'ignore' || answersForItself(config))
  }

  /** Whether one of them may match the same request as a tenant's route. Returns `true` in doubt. */
  mayTakeFrom ({ config }: RouteContext): boolean {
    return this.#configs.some(reserved => mayOverlap(reserved.url as string, config.url as string) && !isPreceded(reserved, config.url))
  }
}

/** Whether a route has an identification strategy of its own. */
function hasStrategy ({ identify }: FastifyContextConfig): boolean {
  return identify !== undefined
}

/** Whether a route of the app answers every request that the app routes to it. */
export function answersForItself (config: FastifyContextConfig): boolean {
  return config.override === false || hasStrategy(config)
}

/**
 * Whether a tenant's route at `url` comes before this route of the app, which has a strategy of its own: the tenant's route must be
 * more exact. A request reaches the tenant's route only if the app's own strategy names the tenant.
 */
export function isPreceded (config: RouteContext['config'], url: string | undefined): boolean {
  if (config.tenant === 'ignore' || config.override === false || url === undefined) return false
  return hasStrategy(config) && isMoreExact(url, config.url as string)
}
