import type { FastifyContextConfig, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { isExempt } from '../identification/preflight.ts'
import { contextsWith } from '../fastify/contexts-with.ts'
import { silenceHandedOver } from './silence-abort-hooks.ts'
import { AppRoutes } from './app-routes.ts'
import { FirstOrder } from './first-order.ts'
import { hookDefaultRoute } from './default-route.ts'
import { routerAnswers } from '../scope/router-answers.ts'
import { Guards } from './guards.ts'
import { HandOver } from './hand-over.ts'
import { noteAwaited } from '../leases/handler-end.ts'
import { tenantHooks } from './hooks.ts'
import { inertPrototype } from '../scope/tenant-server.ts'
import { Internals } from '../fastify/internals.ts'
import { Preflights } from './preflights.ts'
import { RegisteredOrder } from './registered-order.ts'
import { withAppRequestId } from './app-reply.ts'
import { observeRoute } from '../leases/observe-route.ts'
import { routerOf } from '../fastify/router.ts'
import { whenReady } from '../fastify/when-ready.ts'
import { SchemaControllers } from '../scope/schema-controllers.ts'
import { Scope } from '../scope/scope.ts'
import { ServerOffers } from './server-offers.ts'
import { TenantRequests } from '../scope/tenant-requests.ts'
import { createDefaultFastify } from '../fastify/create-quietly.ts'
import { answerUnknownUrls } from './unknown-urls.ts'
import { Upgrades } from './upgrades.ts'
import type { RouterAnswers } from '../scope/router-answers.ts'
import type { ScopeParts } from '../scope/tenant-root.ts'
import type { ScopeParent } from '../scope/scope-parent.ts'
import type { HookOrder, PluginHooks } from './hook-order.ts'
import type { Hidden, RouteContext, RouteMatch, Router } from '../fastify/shapes.ts'
import type { LogController } from './log-controller.ts'

/** The state that all tenants share. It depends on what the app's plugins have added. */
type SharedState = Pick<ScopeParent, 'schemaControllers' | 'tenantRequests'>

const ORDERS = { first: FirstOrder, registered: RegisteredOrder }

/** The app that the plugin was registered in. All tenants are grafted on it, and it receives their requests. */
export class ParentApp implements ScopeParent {
  readonly app: FastifyInstance
  readonly internals: Internals
  readonly router: Router
  /** Whether the app writes a log: Fastify makes no loggers for requests if it does not. */
  readonly hasLogger: boolean
  readonly upgrades: Upgrades
  readonly offers: ServerOffers
  readonly serverPrototype: object
  /** The place of the plugin's hooks among the app's hooks. */
  readonly order: HookOrder
  /** Makes the ids of tenants' requests. */
  readonly genReqId: Hidden['genReqId']
  readonly routerAnswers: RouterAnswers
  readonly preflights: Preflights
  readonly #handOver: HandOver
  #shared: SharedState | undefined
  #routes: AppRoutes | undefined

  /** @throws {FST_TENANT_FASTIFY_UNSUPPORTED} when this Fastify lacks something that tenants build on */
  constructor (app: FastifyInstance, order: keyof typeof ORDERS) {
    const internals = new Internals(app)
    this.app = app
    this.internals = internals
    this.router = routerOf(app, internals)
    // Without a logger, each instance has its own log object with the same functions.
    this.hasLogger = app.log.info !== createDefaultFastify().log.info
    this.upgrades = new Upgrades(app)
    this.genReqId = withAppRequestId(raw => internals.generateId(app, raw))
    this.#handOver = new HandOver(internals, this.upgrades)
    this.offers = new ServerOffers(internals, this.upgrades, this.#handOver)
    this.serverPrototype = inertPrototype(app.server)
    this.routerAnswers = routerAnswers(app, internals)
    this.preflights = new Preflights(app, internals)
    this.order = new ORDERS[order](app, internals)
  }

  /** Adds the plugin's hooks to the app. */
  addHooks (hooks: PluginHooks): void {
    const { app, internals, order } = this
    order.addHooks(hooks)
    noteAwaited(internals.get(app, 'Reply'))
    app.addHook('onReady', async () => {
      this.#shareState()
      // An onReady hook may have loaded a tenant before the app had all its routes.
      this.#routes = this.#takeRoutes()
      answerUnknownUrls(app, internals)
      if (this.routerAnswers.defaultRoute !== undefined) hookDefaultRoute(app, this.router, internals, order.finding())
      const contexts = this.#contexts()
      contexts.forEach(silenceHandedOver)
      contexts.forEach(observeRoute)
    })
  }

  /** Writes the log lines of tenants' requests. */
  get logController (): LogController {
    return this.order.tenantLogController
  }

  /** Resolves when the whole app is ready. */
  ready (): Promise<void> {
    return whenReady(this.app, this.internals)
  }

  /** Makes an empty scope for one generation of a tenant. */
  createScope (parts: Omit<ScopeParts, 'hooks'>): Scope {
    return new Scope(this, { ...parts, hooks: tenantHooks(this.app, this.internals, this.order.tenantOnRequest()) })
  }

  /** Returns the `config` of the request's current route. */
  configOf (request: FastifyRequest): FastifyContextConfig {
    return this.internals.contextOf(request).config
  }

  /** Returns the `config` of every route whose requests are identified. Call this when all routes are known. */
  routeConfigs (): FastifyContextConfig[] {
    return this.#contexts().map(({ config }) => config)
  }

  /** Writes the "incoming request" line of a request that stays with the app, if it was held back until the tenant is known. */
  logIncoming (request: FastifyRequest, reply: FastifyReply): void {
    this.order.logIncoming(request, reply)
  }

  /** Passes the raw request and reply to a route. The app's own request goes no further. */
  handOver (request: FastifyRequest, reply: FastifyReply, route: RouteMatch, tenantId: string): void {
    this.#handOver.run(request, reply, isExempt(request) ? this.preflights.barred(route) : route, tenantId)
  }

  get schemaControllers (): SchemaControllers {
    return this.#shareState().schemaControllers
  }

  get tenantRequests (): TenantRequests {
    return this.#shareState().tenantRequests
  }

  get routes (): AppRoutes {
    this.#routes ??= this.#takeRoutes()
    return this.#routes
  }

  /** Makes the state that all tenants share when the app is ready, or earlier if an onReady hook loads a tenant. */
  #shareState (): SharedState {
    const { app, internals } = this
    this.#shared ??= { schemaControllers: new SchemaControllers(app, internals), tenantRequests: new TenantRequests(app, internals, this) }
    return this.#shared
  }

  #takeRoutes (): AppRoutes {
    return new AppRoutes(this.router, this.#contexts(), new Guards(this.app, this.internals))
  }

  /** Returns the routes that run the plugin's hooks. */
  #contexts (): RouteContext[] {
    return contextsWith(hook => this.order.owns(hook), [this.router, this.internals.get(this.app, 'fourOhFour').router], this.internals)
  }
}
