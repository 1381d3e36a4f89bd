import type { FastifyInstance } from 'fastify'
import { shareRequestState } from './share-request-state.ts'
import { withoutRepeats } from './hooks.ts'
import { unlessHandedOver, withCompletion } from './log-controller.ts'
import type { HookOrder, PluginHooks } from './hook-order.ts'
import type { Internals } from '../fastify/internals.ts'
import type { OnRequestHook } from '../fastify/shapes.ts'
import type { LogController } from './log-controller.ts'

/**
 * `order: 'registered'`. A request is identified, and refused, where the plugin was registered. What earlier hooks left on the app's
 * request is carried over to the tenant's, and they do not run again there.
 */
export class RegisteredOrder implements HookOrder {
  readonly tenantLogController: LogController
  readonly resume: OnRequestHook
  readonly isFirst = false
  readonly #app: FastifyInstance
  readonly #internals: Internals
  readonly #hooks: PluginHooks
  readonly #carry: OnRequestHook
  readonly #logController: LogController

  constructor (app: FastifyInstance, internals: Internals, hooks: PluginHooks) {
    this.#app = app
    this.#internals = internals
    this.#hooks = hooks
    this.#carry = shareRequestState(app, internals)
    this.#logController = internals.get(app, 'logController')
    this.tenantLogController = withCompletion(unlessHandedOver(this.#logController))
    this.resume = inTurn(this.#carry, hooks.resume)
  }

  addHooks (): void {
    this.#app.addHook('onRequest', this.#hooks.identify)
    this.#internals.set(this.#app, 'logController', withCompletion(this.#logController))
  }

  finding (): OnRequestHook[] {
    const { onRequest } = this.#internals.get(this.#app, 'hooks')
    return onRequest.slice(0, onRequest.indexOf(this.#hooks.identify) + 1)
  }

  tenantOnRequest (): OnRequestHook[] {
    const { onRequest } = this.#internals.get(this.#app, 'hooks')
    return [this.#carry, ...withoutRepeats(onRequest, this.#hooks.identify)]
  }

  /** Fastify wrote the line when the request came. */
  logIncoming (): void {}

  openReroute (): void {
    this.#internals.set(this.#app, 'logController', withCompletion(unlessHandedOver(this.#logController)))
  }
}

/** Runs a hook that never fails, and then another. */
function inTurn (first: OnRequestHook, second: OnRequestHook): OnRequestHook {
  return function (request, reply, done) {
    first(request, reply, () => second(request, reply, done))
  }
}
