import type { FastifyReply, FastifyRequest } from 'fastify'
import type { OnRequestHook } from '../fastify/shapes.ts'
import type { LogController } from './log-controller.ts'

/** The plugin's onRequest hooks. */
export interface PluginHooks {
  identify: OnRequestHook
  refuse: OnRequestHook
}

/** The place of the plugin's hooks among the app's hooks: the option `order`. */
export interface HookOrder {
  /** Writes the log lines of tenants' requests. */
  readonly tenantLogController: LogController

  /** Whether identification is the first hook of every request of the app. */
  readonly isFirst: boolean

  /** Adds the plugin's hooks to the app. */
  addHooks (hooks: PluginHooks): void

  /** Whether this hook is one of the plugin's. The first of them in a list is `identify`. */
  owns (hook: OnRequestHook): boolean

  /** Returns `resume` with whatever this order runs before it when a request goes on at another route of the app. */
  beforeResume (resume: OnRequestHook): OnRequestHook

  /** Returns the app's onRequest hooks up to the one that finds the tenant. */
  finding (): OnRequestHook[]

  /** Returns the app's onRequest hooks that still have to run in a tenant's routes. */
  tenantOnRequest (): OnRequestHook[]

  /** Writes the "incoming request" line of a request that stays with the app, unless Fastify has written it. */
  logIncoming (request: FastifyRequest, reply: FastifyReply): void

  /** Call this before the app hands a request over to one of its own routes, which must not write a second "incoming request" line. */
  openReroute (): void
}
