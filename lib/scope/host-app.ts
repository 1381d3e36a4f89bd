import type { IncomingMessage } from 'node:http'
import Fastify from 'fastify'
import type { FastifyContextConfig, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { contextsWith, silenceHandedOver } from './abort.ts'
import { carryHook } from './carry.ts'
import { HandOver } from './hand-over.ts'
import { addFirstHook, tenantHooks, withoutRepeats } from './hooks.ts'
import { Internals } from './internals.ts'
import { KeptRoutes } from './kept-routes.ts'
import { unlessHandedOver, withCompletion, withIncomingRequest, writeIncoming } from './log-controller.ts'
import { outerId } from './outer.ts'
import { inTurn, Reroute } from './reroute.ts'
import { noteOnResponse } from './responding.ts'
import { findRoute, routerOf } from './router.ts'
import { Scope } from './scope.ts'
import { TenantRequests } from './tenant-requests.ts'
import { unannounced } from './unannounced.ts'
import { answerUnknownUrls } from './unknown-urls.ts'
import { Upgrades } from './upgrades.ts'
import type { Scion } from './graft.ts'
import type { OnRequestHook, RouteContext, RouteMatch, Router } from './internals.ts'
import type { LogController } from './log-controller.ts'

/** The plugin's hooks. */
export interface PluginHooks {
  identify: OnRequestHook
  refuse: OnRequestHook
  /** Goes on with a request that was identified when it had another URL. */
  resume: OnRequestHook
}

/** The app that the plugin was registered in: what all tenants are grafted on, and where their requests come from. */
export class HostApp {
  readonly app: FastifyInstance
  readonly internals: Internals
  readonly router: Router
  /** Fastify makes no loggers for requests where the app has none. */
  readonly hasLogger: boolean
  readonly upgrades: Upgrades
  /** Known when the app is ready. */
  tenantRequests!: TenantRequests
  keptRoutes!: KeptRoutes
  /** What tenants log their requests with. */
  readonly logController: LogController
  readonly #logController: LogController
  readonly #order: 'first' | 'registered'
  readonly #handOver: HandOver
  #hooks!: PluginHooks
  #reroute!: Reroute
  #rewrites = false

  /** @throws FST_TENANT_FASTIFY_UNSUPPORTED when this Fastify lacks what tenants build on */
  constructor (app: FastifyInstance, order: 'first' | 'registered') {
    const internals = new Internals(app)
    this.app = app
    this.internals = internals
    this.router = routerOf(app, internals)
    // Where there is no logger each instance gets another object, of the same functions.
    this.hasLogger = app.log.info !== unannounced(() => Fastify()).log.info
    this.upgrades = new Upgrades(app)
    this.#logController = internals.get(app, 'logController')
    this.logController = withCompletion(order === 'first' ? this.#logController : unlessHandedOver(this.#logController))
    this.#order = order
    this.#handOver = new HandOver(internals, this.upgrades)
  }

  /**
   * Adds the plugin's hooks to the app. With `'first'` identification comes before every other hook, so nothing needs carrying
   * over, and a refusal comes where the plugin was registered; with `'registered'` both happen there.
   */
  addHooks (hooks: PluginHooks): void {
    const { app, internals } = this
    const { identify, refuse, resume } = hooks
    this.#hooks = hooks
    this.#reroute = new Reroute(internals, identify, this.#order === 'first' ? resume : inTurn(carryHook(app, internals), resume))
    if (this.#order === 'first') {
      addFirstHook(app, identify, internals)
      app.addHook('onRequest', refuse)
      internals.set(app, 'logController', withCompletion(this.#holdingLogController()))
    } else {
      app.addHook('onRequest', identify)
      internals.set(app, 'logController', withCompletion(this.#logController))
    }
    app.addHook('onReady', async () => {
      this.tenantRequests = new TenantRequests(internals.get(app, 'Request'))
      this.keptRoutes = new KeptRoutes(this.router)
      answerUnknownUrls(app, internals)
      const contexts = this.#contexts()
      contexts.forEach(silenceHandedOver)
      contexts.forEach(noteOnResponse)
    })
  }

  /** Whether the plugin's hook comes before all else, for every request of the app. */
  get isFirst (): boolean {
    return this.#order === 'first' && rootOf(this.app) === this.app
  }

  /** A request that has not been routed: all that can be read of it is its head. */
  requestOf (raw: IncomingMessage): FastifyRequest {
    return new (this.internals.get(this.app, 'Request'))(undefined, undefined, raw) as FastifyRequest
  }

  /** The children that the app had before the plugin was registered: what is decorated on the app does not reach them. */
  earlierChildren (instance: FastifyInstance = this.app): FastifyInstance[] {
    return this.internals.get(instance, 'children').flatMap(child => [child, ...this.earlierChildren(child)])
  }

  /** Resolves when the whole app is ready: `ready()` of a child does not wait for that. */
  async ready (): Promise<void> {
    await rootOf(this.app).ready()
  }

  /** An empty scope for one generation of a tenant. */
  createScope (scion: Pick<Scion, 'id' | 'pluginTimeout' | 'admit'>): Scope {
    const { onRequest } = this.internals.get(this.app, 'hooks')
    const { identify, refuse } = this.#hooks
    const left = this.#order === 'first'
      ? onRequest.filter(hook => hook !== identify && hook !== refuse)
      : [carryHook(this.app, this.internals), ...withoutRepeats(onRequest, identify)]
    return new Scope(this, { ...scion, hooks: tenantHooks(this.app, this.internals, left) })
  }

  /** The `config` of the route that the app found. */
  configOf (request: FastifyRequest): FastifyContextConfig {
    return this.internals.contextOf(request).config
  }

  /** The `config` of every route whose requests are identified. To be called when all routes are known. */
  routeConfigs (): FastifyContextConfig[] {
    return this.#contexts().map(({ config }) => config)
  }

  /**
   * Writes the "incoming request" line of a request that stays with the app. With `order: 'first'` it was held back, so that it
   * has the tenant's id, and is the tenant's when the request is: its log level and its serializers may hide what the URL says.
   */
  logIncoming (request: FastifyRequest, reply: FastifyReply): void {
    if (this.#order === 'first') writeIncoming(this.#logController, request, reply)
  }

  /**
   * The route that a request is to be handed over to; `null` when the app's own route, the one it is at, answers.
   * @param url what routes are to see as the URL; `request.originalUrl` keeps the whole
   */
  routeFor (scope: Scope, request: FastifyRequest, url: string | undefined): RouteMatch | null | Promise<RouteMatch | null> {
    if (url === undefined || url === request.raw.url) {
      return scope.routeFor(request, this.internals.contextOf(request))
    }
    this.#rewrite(request, url)
    const appRoute = this.#appRouteFor(request)
    const route = scope.routeFor(request, appRoute?.store ?? null)
    return route instanceof Promise ? route.then(route => route ?? appRoute) : route ?? appRoute
  }

  /** Gives the raw request and reply to a route; the request that the app made for them goes no further. */
  handOver (request: FastifyRequest, reply: FastifyReply, route: RouteMatch): void {
    this.#handOver.run(request, reply, route)
  }

  /**
   * The app's route behind the tenant's part of the URL. One that says itself what names its tenant is not there for another
   * strategy: a URL would do then where the route asks for a token.
   */
  #appRouteFor (request: FastifyRequest): RouteMatch | null {
    const found = findRoute(this.router, request.raw)
    if (found === null || found.store === null) return found
    const { identify } = found.store.config
    if (identify !== undefined && identify !== this.configOf(request).identify) return null
    return { ...found, store: this.#reroute.contextOf(found.store) }
  }

  /** The routes that run the plugin's hooks. */
  #contexts (): RouteContext[] {
    return contextsWith(this.#hooks.identify, [this.router, this.internals.get(this.app, 'fourOhFour').router], this.internals)
  }

  /** A request whose route runs no hooks, a bad URL's say, is never identified: its line is written at once. */
  #holdingLogController (): LogController {
    return withIncomingRequest(this.#logController, (request, reply) => {
      if (this.internals.contextOf(request).onRequest === null) writeIncoming(this.#logController, request, reply)
    })
  }

  #rewrite (request: FastifyRequest, url: string): void {
    const raw = request.raw as typeof request.raw & { originalUrl?: string }
    raw.originalUrl ??= raw.url
    raw.url = url
    if (this.#rewrites) return
    // From here on the app hands requests over to routes of its own: they keep their id and their one "incoming request" line.
    this.#rewrites = true
    this.internals.set(this.app, 'genReqId', outerId(this.internals.get(this.app, 'genReqId')))
    if (this.#order === 'registered') this.internals.set(this.app, 'logController', withCompletion(unlessHandedOver(this.#logController)))
  }
}

function rootOf (app: FastifyInstance): FastifyInstance {
  let root = app
  // The prototype of the root itself has nothing of Fastify's.
  for (let parent = Object.getPrototypeOf(root); 'ready' in parent; parent = Object.getPrototypeOf(root)) root = parent
  return root
}
