import type { FastifyContextConfig } from 'fastify'
import type { RouteContext, Router } from './internals.ts'

/** What begins a parameter or a wildcard in the URL of a route, or an encoded character. */
const VARIABLE = /[:*%]/

/** The routes of the app that say themselves whose a request is: nobody's (`tenant: 'ignore'`), or by a strategy of their own (`identify`). */
export class KeptRoutes {
  readonly #urls: string[]

  /** To be made when all routes of the app are known. */
  constructor ({ routes }: Router) {
    const kept = routes.map(({ store }) => store.config).filter(config => config.tenant === 'ignore' || namesTenant(config))
    this.#urls = kept.map(({ url }) => url as string)
  }

  /** Whether one of them may answer a request that a tenant's route matches too. Says yes where it is not sure. */
  mayTakeFrom ({ config }: RouteContext): boolean {
    return this.#urls.some(url => mayOverlap(url, config.url as string))
  }
}

/** Whether a route says itself what names the tenant of its requests. */
export function namesTenant ({ identify }: FastifyContextConfig): boolean {
  return identify !== undefined
}

/** Compares what comes before the first parameter, however the app's router reads case and slashes. */
function mayOverlap (one: string, other: string): boolean {
  const [a, b] = [fixedPart(one), fixedPart(other)]
  if (!VARIABLE.test(one) && !VARIABLE.test(other)) return a === b
  return a.startsWith(b) || b.startsWith(a)
}

function fixedPart (url: string): string {
  const [fixed] = url.split(VARIABLE, 1) as [string]
  return fixed.toLowerCase().replace(/\/+/g, '/').replace(/\/$/, '')
}
