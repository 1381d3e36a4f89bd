import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import type { Internals } from '../fastify/internals.ts'
import type { Hidden, RouteContext, Router } from '../fastify/shapes.ts'
import type { RouterAnswers } from './router-answers.ts'
import type { SchemaControllers } from './schema-controllers.ts'
import type { TenantRequests } from './tenant-requests.ts'

/** The routes of the parent app, for the scopes whose routes stand beside them. */
export interface ParentRoutes {
  /** Routes of the app that a tenant's route cannot come before. */
  readonly reserved: { mayTakeFrom (context: RouteContext): boolean }
  /** Routes of the app that a tenant's routes override. */
  readonly overrides: { warn (routes: ReadonlySet<RouteContext>, log: FastifyBaseLogger): void }
}

/** The app that a tenant's scope is grafted on, and whatever its tenants share. */
export interface ScopeParent {
  readonly app: FastifyInstance
  readonly internals: Internals
  readonly router: Router
  /** Whether the app writes a log: Fastify makes no loggers for requests if it does not. */
  readonly hasLogger: boolean
  /** Makes the ids of tenants' requests. */
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
