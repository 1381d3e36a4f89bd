import { ReservedRoutes } from './reserved-routes.ts'
import { Overrides } from './override-warnings.ts'
import { checkRouteConfig } from '../scope/route-config.ts'
import type { ParentRoutes } from '../scope/scope-parent.ts'
import type { Guards } from './guards.ts'
import type { RouteContext, Router } from '../fastify/shapes.ts'

/** The app's routes as tenants meet them: those that no tenant can override, and those whose override causes a warning. */
export class AppRoutes implements ParentRoutes {
  readonly reserved: ReservedRoutes
  readonly overrides: Overrides

  /**
   * Create this when all routes of the app are known.
   * @param contexts the routes whose requests are identified
   * @throws {FST_TENANT_OPTION_INVALID} when `config.tenant` or `config.override` of a route is invalid
   */
  constructor (router: Router, contexts: readonly RouteContext[], guards: Guards) {
    contexts.forEach(checkRouteConfig)
    this.reserved = new ReservedRoutes(router)
    this.overrides = new Overrides(contexts, guards)
  }
}
