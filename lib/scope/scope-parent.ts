import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import type { Internals } from '../fastify/internals.ts'
import type { Hidden, RouteContext, Router } from '../fastify/shapes.ts'
import type { RouterAnswers } from './router-answers.ts'
import type { SchemaControllers } from './schema-controllers.ts'
import type { TenantRequests } from './tenant-requests.ts'

/** Compares a tenant's routes with those of the parent app. */
export interface ParentRoutes {
  /** The routes of the app that tenants cannot replace. */
  readonly reserved: { mayTakeFrom (context: RouteContext): boolean }
  /** The routes of the app that tenants replace. */
  readonly overrides: { warn (routes: ReadonlySet<RouteContext>, log: FastifyBaseLogger): void }
}

/** The app that contains the tenants' scopes, and the state that all of its tenants share. */
export interface ScopeParent {
  readonly app: FastifyInstance
  readonly internals: Internals
  readonly router: Router
  /** Whether the app writes a log. Without one, Fastify creates no loggers for requests. */
  readonly hasLogger: boolean
  /** Generates the ids of tenants' requests. */
  readonly genReqId: Hidden['genReqId']
  /** Writes the log lines of tenants' requests. */
  readonly logController: Hidden['logController']
  readonly schemaControllers: SchemaControllers
  readonly tenantRequests: TenantRequests
  readonly routerAnswers: RouterAnswers
  readonly serverPrototype: object
  readonly upgrades: { listen (): void }
  readonly routes: ParentRoutes
}
