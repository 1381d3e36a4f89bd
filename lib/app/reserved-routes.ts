import type { FastifyContextConfig } from 'fastify'
import { isMoreExact, mayOverlap } from './route-url.ts'
import type { RouteContext, Router } from '../fastify/shapes.ts'

/** The routes of the app that no tenant's route takes the place of: nobody's (`tenant: 'ignore'`), or those that answer for themselves. */
export class ReservedRoutes {
  readonly #configs: ReadonlyArray<RouteContext['config']>

  /** To be made when all routes of the app are known. */
  constructor ({ routes }: Router) {
    this.#configs = routes.map(({ store }) => store.config).filter(config => config.tenant === 'ignore' || answersForItself(config))
  }

  /** Whether one of them may answer a request that a tenant's route matches too. Says yes where it is not sure. */
  mayTakeFrom ({ config }: RouteContext): boolean {
    return this.#configs.some(kept => mayOverlap(kept.url as string, config.url as string) && !isPreceded(kept, config.url))
  }
}

/** Whether a route says itself what names the tenant of its requests. */
export function namesTenant ({ identify }: FastifyContextConfig): boolean {
  return identify !== undefined
}

/** Whether a route of the app answers all that the app finds it for, for the tenant that was named. */
export function answersForItself (config: FastifyContextConfig): boolean {
  return config.override === false || namesTenant(config)
}

/**
 * Whether a tenant's route at `url` comes before this route of the app, which says itself what names its tenant: it is more exact,
 * and is reached by the app's identification alone.
 */
export function isPreceded (config: RouteContext['config'], url: string | undefined): boolean {
  if (config.tenant === 'ignore' || config.override === false || url === undefined) return false
  return namesTenant(config) && isMoreExact(url, config.url as string)
}
