import type { FastifyInstance } from 'fastify'
import { shareRequestState } from './share-request-state.ts'
import { withoutRepeats } from './hooks.ts'
import { unlessHandedOver, withCompletion } from './log-controller.ts'
import type { HookOrder, PluginHooks } from './hook-order.ts'
import type { Internals } from '../fastify/internals.ts'
import type { OnRequestHook } from '../fastify/shapes.ts'
import type { LogController } from './log-controller.ts'

/**
 * `order: 'registered'`. Identification and refusals run where the plugin was registered. The tenant's request shares the state that
 * earlier hooks left on the app's request, and those hooks do not run again.
 */
export class RegisteredOrder implements HookOrder {
  readonly tenantLogController: LogController
  readonly isFirst = false
  readonly #app: FastifyInstance
  readonly #internals: Internals
  readonly #added = new Set<OnRequestHook>()
  readonly #shareState: OnRequestHook
  readonly #logController: LogController

  constructor (app: FastifyInstance, internals: Internals) {
    this.#app = app
    this.#internals = internals
    this.#shareState = shareRequestState(app, internals)
    this.#logController = internals.get(app, 'logController')
    this.tenantLogController = withCompletion(unlessHandedOver(this.#logController))
  }

  addHooks ({ identify }: PluginHooks): void {
    this.#app.addHook('onRequest', identify)
    this.#added.add(identify)
    this.#internals.set(this.#app, 'logController', withCompletion(this.#logController))
  }

  owns (hook: OnRequestHook): boolean {
    return this.#added.has(hook)
  }

  beforeResume (resume: OnRequestHook): OnRequestHook {
    return inTurn(this.#shareState, resume)
  }

  finding (): OnRequestHook[] {
    const { onRequest } = this.#internals.get(this.#app, 'hooks')
    return onRequest.slice(0, this.#indexIn(onRequest) + 1)
  }

  tenantOnRequest (): OnRequestHook[] {
    const { onRequest } = this.#internals.get(this.#app, 'hooks')
    return [this.#shareState, ...withoutRepeats(onRequest, this.#indexIn(onRequest))]
  }

  /** Does nothing: Fastify wrote the line when the request arrived. */
  logIncoming (): void {}

  openReroute (): void {
    this.#internals.set(this.#app, 'logController', withCompletion(unlessHandedOver(this.#logController)))
  }

  #indexIn (onRequest: OnRequestHook[]): number {
    return onRequest.findIndex(hook => this.owns(hook))
  }
}

/** Runs a hook that never fails, then another. */
function inTurn (first: OnRequestHook, second: OnRequestHook): OnRequestHook {
  return function (request, reply, done) {
    first(request, reply, () => second(request, reply, done))
  }
}
