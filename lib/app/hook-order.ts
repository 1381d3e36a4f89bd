import type { FastifyReply, FastifyRequest } from 'fastify'
import type { OnRequestHook } from '../fastify/shapes.ts'
import type { LogController } from './log-controller.ts'

/** The plugin's hooks. */
export interface PluginHooks {
  identify: OnRequestHook
  refuse: OnRequestHook
  /** Goes on with a request that was identified when it had another URL. */
  resume: OnRequestHook
}

/** Where the plugin's hooks stand among the app's, and what comes of it: the option `order`. */
export interface HookOrder {
  /** What tenants log their requests with. */
  readonly tenantLogController: LogController

  /** What goes on with a request at another of the app's routes. */
  readonly resume: OnRequestHook

  /** Whether identification comes before all else, for every request of the app. */
  readonly isFirst: boolean

  /** Adds the hooks to the app. */
  addHooks (): void

  /** The app's onRequest hooks that find the tenant of a request, and those that run before them. */
  finding (): OnRequestHook[]

  /** The app's onRequest hooks, of which this is left to run in a tenant's routes. */
  tenantOnRequest (): OnRequestHook[]

  /** Writes the "incoming request" line of a request that stays with the app, unless it has been written. */
  logIncoming (request: FastifyRequest, reply: FastifyReply): void

  /** To be called before the app hands a request over to a route of its own, where it writes its "incoming request" line no more. */
  openReroute (): void
}
