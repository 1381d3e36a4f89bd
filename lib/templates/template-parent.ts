import type { FastifyInstance } from 'fastify'
import { Guards } from '../app/guards.ts'
import { tenantHooks } from '../app/hooks.ts'
import { Overrides } from '../app/override-warnings.ts'
import { contextsOf } from '../fastify/router.ts'
import { SchemaControllers } from '../scope/schema-controllers.ts'
import { Scope } from '../scope/scope.ts'
import { TenantRequests } from '../scope/tenant-requests.ts'
import type { ParentApp } from '../app/parent-app.ts'
import type { Internals } from '../fastify/internals.ts'
import type { Hidden, Router } from '../fastify/shapes.ts'
import type { RouterAnswers } from '../scope/router-answers.ts'
import type { ParentRoutes, ScopeParent } from '../scope/scope-parent.ts'
import type { ScopeParts } from '../scope/tenant-root.ts'

/** A template as the base of tenants with code of their own: their scopes inherit from it as its scope inherits from the app. */
export class TemplateParent implements ScopeParent {
  readonly app: FastifyInstance
  readonly router: Router
  readonly schemaControllers: SchemaControllers
  readonly tenantRequests: TenantRequests
  readonly routes: ParentRoutes
  readonly internals: Internals
  readonly hasLogger: boolean
  readonly genReqId: Hidden['genReqId']
  readonly logController: Hidden['logController']
  readonly routerAnswers: RouterAnswers
  readonly serverPrototype: object
  readonly upgrades: ScopeParent['upgrades']

  /** @param scope the template's scope, booted */
  constructor (parent: ParentApp, scope: Scope) {
    const { internals } = parent
    this.app = scope.instance
    this.router = scope.router
    this.schemaControllers = new SchemaControllers(this.app, internals)
    this.tenantRequests = new TenantRequests(this.app, internals, parent)
    this.routes = routesOf(parent, new Overrides([...contextsOf(scope.router)], new Guards(this.app, internals)))
    this.internals = internals
    this.hasLogger = parent.hasLogger
    this.genReqId = parent.genReqId
    this.logController = parent.logController
    this.routerAnswers = parent.routerAnswers
    this.serverPrototype = parent.serverPrototype
    this.upgrades = parent.upgrades
  }

  /** Makes an empty scope for one generation of a tenant. */
  createScope (parts: Omit<ScopeParts, 'hooks'>): Scope {
    const { onRequest } = this.internals.get(this.app, 'hooks')
    return new Scope(this, { ...parts, hooks: tenantHooks(this.app, this.internals, onRequest.slice()) })
  }
}

/** The routes that tenants on the template meet. The app may read its own again, and each request asks for them. */
function routesOf (parent: ParentApp, overrides: Overrides): ParentRoutes {
  return {
    get reserved () { return parent.routes.reserved },
    overrides: {
      warn: (routes, log) => {
        parent.routes.overrides.warn(routes, log)
        overrides.warn(routes, log)
      }
    }
  }
}
