import type { FastifyBaseLogger } from 'fastify'
import { Guards } from './guards.ts'
import { answersForItself, isPreceded } from './reserved-routes.ts'
import { nameOf } from '../scope/route-config.ts'
import { meet } from './route-url.ts'
import { isWildcard } from '../fastify/router.ts'
import type { RouteContext } from '../fastify/shapes.ts'

/** How many of a tenant's routes one log line names. */
const MAX_NAMES = 10

/** Warns if a tenant's route overrides a route of the app without its guards, or is hidden by a route of the app. */
export class Overrides {
  readonly #guards: Guards
  readonly #routes: readonly RouteContext[]

  /** Create this when all routes of the app are known. */
  constructor (routes: readonly RouteContext[], guards: Guards) {
    this.#guards = guards
    const known = new Map(routes.filter(({ config }) => config.url !== undefined).map(route => [nameOf(route.config), route]))
    // Fastify adds a HEAD route to each GET route.
    for (const [name, { config: { method, url } }] of known) if (method === 'HEAD' && known.has(`GET ${url}`)) known.delete(name)
    this.#routes = [...known.values()].filter(route => this.#matters(route))
  }

  /** Writes one line for each route of the app to the tenant's log. Call this when the tenant is loaded. */
  warn (routes: ReadonlySet<RouteContext>, log: FastifyBaseLogger): void {
    for (const route of this.#routes) {
      const overlapping = [...routes].filter(own => shareMethod(own, route) && meet(own.config.url as string, route.config.url as string))
      if (answersForItself(route.config)) this.#warnOfHidden(route, overlapping, log)
      else this.#warnOfUnguarded(route, overlapping.filter(own => !isWildcard(own) || isWildcard(route)), log)
    }
  }

  #matters (route: RouteContext): boolean {
    const { tenant, override } = route.config
    if (tenant === 'ignore' || override === true) return false
    return answersForItself(route.config) || this.#guards.of(route).length > 0
  }

  #warnOfHidden ({ config }: RouteContext, overlapping: readonly RouteContext[], log: FastifyBaseLogger): void {
    const hidden = overlapping.filter(own => !isPreceded(config, own.config.url))
    if (hidden.length > 0) log.warn({ route: nameOf(config), hides: namesOf(hidden) }, 'a route of the app cannot be overridden: it answers instead of the routes of the tenant')
  }

  #warnOfUnguarded (route: RouteContext, overlapping: readonly RouteContext[], log: FastifyBaseLogger): void {
    const overriding = overlapping.filter(own => this.#guards.of(route, own).length > 0)
    const leaves = new Set(overriding.flatMap(own => this.#guards.of(route, own)))
    if (leaves.size > 0) log.warn({ route: nameOf(route.config), overriddenBy: namesOf(overriding), leaves: [...leaves] }, 'a route of the tenant overrides a route of the app, and runs without some of its hooks or config')
  }
}

function shareMethod (one: RouteContext, other: RouteContext): boolean {
  const methods = [other.config.method].flat()
  return [one.config.method].flat().some(method => methods.includes(method))
}

function namesOf (routes: readonly RouteContext[]): string[] {
  return [...new Set(routes.map(({ config }) => nameOf(config)))].slice(0, MAX_NAMES)
}
