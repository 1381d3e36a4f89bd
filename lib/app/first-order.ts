import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { addFirstHook } from './hooks.ts'
import { withCompletion, withIncomingRequest, writeIncoming } from './log-controller.ts'
import { rootOf } from '../fastify/root-of.ts'
import type { HookOrder, PluginHooks } from './hook-order.ts'
import type { Internals } from '../fastify/internals.ts'
import type { OnRequestHook } from '../fastify/shapes.ts'
import type { LogController } from './log-controller.ts'

/**
 * `order: 'first'`. Identification runs before every other hook, so there is no state to share with the tenant's request. A refusal is
 * thrown where the plugin was registered.
 */
export class FirstOrder implements HookOrder {
  readonly tenantLogController: LogController
  readonly #app: FastifyInstance
  readonly #internals: Internals
  readonly #added = new Set<OnRequestHook>()
  readonly #logController: LogController

  constructor (app: FastifyInstance, internals: Internals) {
    this.#app = app
    this.#internals = internals
    this.#logController = internals.get(app, 'logController')
    this.tenantLogController = withCompletion(this.#logController)
  }

  get isFirst (): boolean {
    return rootOf(this.#app) === this.#app
  }

  addHooks ({ identify, refuse }: PluginHooks): void {
    addFirstHook(this.#app, identify, this.#internals)
    this.#app.addHook('onRequest', refuse)
    this.#added.add(identify).add(refuse)
    this.#internals.set(this.#app, 'logController', withCompletion(this.#holdingLogController()))
  }

  owns (hook: OnRequestHook): boolean {
    return this.#added.has(hook)
  }

  beforeResume (resume: OnRequestHook): OnRequestHook {
    return resume
  }

  finding (): OnRequestHook[] {
    return [...this.#added]
  }

  tenantOnRequest (): OnRequestHook[] {
    return this.#internals.get(this.#app, 'hooks').onRequest.filter(hook => !this.owns(hook))
  }

  /**
   * The line was held back until the tenant was known. It carries the tenant's id, and the tenant's route decides on its log level and
   * serializers, which may hide the URL.
   */
  logIncoming (request: FastifyRequest, reply: FastifyReply): void {
    writeIncoming(this.#logController, request, reply)
  }

  /** Does nothing: the line is already held back. */
  openReroute (): void {}

  /**
   * Holds back the "incoming request" line. A request whose route runs no hooks, for example one with a bad URL, is never identified, so
   * its line is written at once.
   */
  #holdingLogController (): LogController {
    return withIncomingRequest(this.#logController, (request, reply) => {
      if (this.#internals.contextOf(request).onRequest === null) writeIncoming(this.#logController, request, reply)
    })
  }
}
