import Fastify from 'fastify'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { carryHook } from './carry.ts'
import { HandOver } from './hand-over.ts'
import { addFirstHook, tenantHooks, withoutRepeats } from './hooks.ts'
import { Internals } from './internals.ts'
import { handedOverLogController } from './log-controller.ts'
import { outerId } from './outer.ts'
import { inTurn, Reroute } from './reroute.ts'
import { findRoute, routerOf } from './router.ts'
import { Scope } from './scope.ts'
import { answerUnknownUrls } from './unknown-urls.ts'
import { Upgrades } from './upgrades.ts'
import type { OnRequestHook, RouteMatch, Router } from './internals.ts'
import type { TenantRule } from '../../types/index.ts'

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
  readonly logController: Record<string, unknown>
  /** Fastify makes no loggers for requests where the app has none. */
  readonly hasLogger: boolean
  readonly upgrades: Upgrades
  readonly #handOver: HandOver
  #rerouted: Reroute | undefined
  #rewrites = false

  /** @throws FST_TENANT_FASTIFY_UNSUPPORTED when this Fastify lacks what tenants build on */
  constructor (app: FastifyInstance) {
    this.app = app
    this.internals = new Internals(app)
    this.router = routerOf(app, this.internals)
    this.logController = handedOverLogController(this.internals.get(app, 'logController'))
    this.hasLogger = app.log !== Fastify().log
    this.upgrades = new Upgrades(app)
    this.#handOver = new HandOver(this.internals, this.upgrades)
  }

  /**
   * Adds the plugin's hooks to the app. With `'first'` identification comes before every other hook, so nothing needs carrying
   * over, and a refusal comes where the plugin was registered; with `'registered'` both happen there.
   */
  addHooks (hooks: PluginHooks, order: 'first' | 'registered'): void {
    const { app, internals } = this
    const resume = order === 'first' ? hooks.resume : inTurn(carryHook(app, internals), hooks.resume)
    this.#rerouted = new Reroute(internals, hooks.identify, resume)
    if (order === 'first') {
      addFirstHook(app, hooks.identify, internals)
      app.addHook('onRequest', hooks.refuse)
    } else {
      app.addHook('onRequest', hooks.identify)
    }
    app.addHook('onReady', async () => answerUnknownUrls(app, internals))
  }

  /** The children that the app had before the plugin was registered: what is decorated on the app does not reach them. */
  earlierChildren (instance: FastifyInstance = this.app): FastifyInstance[] {
    return this.internals.get(instance, 'children').flatMap(child => [child, ...this.earlierChildren(child)])
  }

  /** Resolves when the whole app is ready: `ready()` of a child does not wait for that. */
  async ready (): Promise<void> {
    let root = this.app
    for (let parent = Object.getPrototypeOf(root); parent !== Object.prototype; parent = Object.getPrototypeOf(root)) root = parent
    await root.ready()
  }

  /** An empty scope for one generation of a tenant. `pluginTimeout` in ms. */
  createScope (id: string, hooks: PluginHooks, order: 'first' | 'registered', pluginTimeout: number): Scope {
    const { onRequest } = this.internals.get(this.app, 'hooks')
    const left = order === 'first'
      ? onRequest.filter(hook => hook !== hooks.identify && hook !== hooks.refuse)
      : [carryHook(this.app, this.internals), ...withoutRepeats(onRequest, hooks.identify)]
    return new Scope(this, { id, pluginTimeout, hooks: tenantHooks(this.app, this.internals, left) })
  }

  /** The `config.tenant` of the route that the app found. */
  ruleOf (request: FastifyRequest): TenantRule | undefined {
    return this.internals.get(request, 'routeContext').config.tenant
  }

  /**
   * The route that a request is to be handed over to; `null` when the app's own route, the one it is at, answers.
   * @param url what routes are to see as the URL; `request.originalUrl` keeps the whole
   */
  routeFor (scope: Scope, request: FastifyRequest, url: string | undefined): RouteMatch | null | Promise<RouteMatch | null> {
    if (url === undefined || url === request.raw.url) {
      return scope.routeFor(request, this.internals.get(request, 'routeContext'))
    }
    this.#rewrite(request, url)
    const appRoute = findRoute(this.router, request.raw)
    const route = scope.routeFor(request, appRoute?.store ?? null)
    const orApp = (route: RouteMatch | null): RouteMatch | null => route ?? this.#reroute(request, appRoute)
    return route instanceof Promise ? route.then(orApp) : orApp(route)
  }

  /** Gives the raw request and reply to a route; the request that the app made for them goes no further. */
  handOver (request: FastifyRequest, reply: FastifyReply, route: RouteMatch): void {
    this.#handOver.run(request, reply, route)
  }

  #reroute (request: FastifyRequest, route: RouteMatch | null): RouteMatch | null {
    if (route === null || route.store === null || this.#rerouted === undefined) return route
    return { ...route, store: this.#rerouted.contextOf(route.store, this.internals.get(request, 'routeContext')) }
  }

  #rewrite (request: FastifyRequest, url: string): void {
    const raw = request.raw as typeof request.raw & { originalUrl?: string }
    raw.originalUrl ??= raw.url
    raw.url = url
    if (this.#rewrites) return
    // From here on the app hands requests over to routes of its own: they keep their id and their one "incoming request" line.
    this.#rewrites = true
    this.internals.set(this.app, 'genReqId', outerId(this.internals.get(this.app, 'genReqId')))
    this.internals.set(this.app, 'logController', this.logController)
  }
}
