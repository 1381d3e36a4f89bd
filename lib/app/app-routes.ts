import { ReservedRoutes } from './reserved-routes.ts'
import { Overrides } from './overrides.ts'
import { checkRouteConfig } from '../scope/route-config.ts'
import type { ParentRoutes } from '../scope/scope-parent.ts'
import type { Guards } from './guards.ts'
import type { RouteContext, Router } from '../fastify/shapes.ts'

/** How the routes of the app stand to those of tenants. */
export class AppRoutes implements ParentRoutes {
  readonly reserved: ReservedRoutes
  readonly overrides: Overrides

  /**
   * To be made when all routes of the app are known.
   * @param contexts the routes whose requests are identified
   * @throws FST_TENANT_OPTION_INVALID when one says wrongly how it stands to tenants
   */
  constructor (router: Router, contexts: readonly RouteContext[], guards: Guards) {
    contexts.forEach(checkRouteConfig)
    this.reserved = new ReservedRoutes(router)
    this.overrides = new Overrides(contexts, guards)
  }
}
