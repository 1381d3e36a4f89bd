import type { FastifyReply, FastifyRequest } from 'fastify'
import { FST_TENANT_IDENTIFICATION_FAILED } from '../errors.ts'
import { retryAfter } from '../utils/retry-after.ts'
import { isRefusal } from './is-refusal.ts'
import type { AppAnswer, Done } from './app-answer.ts'
import type { ResolvedOptions } from '../options.ts'

/**
 * Refuses requests whose tenant could not be found. With `order: 'first'` a refusal is thrown where the plugin was registered: the hooks
 * that the app registered before the plugin run first.
 */
export class RefusalHook {
  readonly #order: ResolvedOptions['order']
  readonly #appAnswer: AppAnswer
  readonly #refusals = new WeakMap<FastifyRequest, Error>()

  constructor (order: ResolvedOptions['order'], appAnswer: AppAnswer) {
    this.#order = order
    this.#appAnswer = appAnswer
  }

  /** An onRequest hook that throws the refusal of the request, if there is one. */
  readonly run = (request: FastifyRequest, _reply: FastifyReply, done: Done): void => {
    done(this.#refusals.get(request))
  }

  /** Refuses a request: at once, or where the plugin was registered. */
  refuse (error: Error, request: FastifyRequest, reply: FastifyReply, done: Done): void {
    if (this.#order === 'registered') return done(error)
    this.#refusals.set(request, error)
    this.#appAnswer.goOn(request, reply, done)
  }

  /** Refuses a request that names a tenant: error handlers and log lines see its id. `request.tenant` stays `null`, because no tenant takes the request. */
  refuseTenant (id: string, error: Error, request: FastifyRequest, reply: FastifyReply, done: Done): void {
    this.#appAnswer.name(id, request, reply)
    this.refuse(error, request, reply, done)
  }

  /** Refuses a request whose strategy threw. An error without a 4xx status code is a failure of the strategy: its message stays in the log. */
  refuseFailed (cause: unknown, request: FastifyRequest, reply: FastifyReply, done: Done): void {
    if (isRefusal(cause)) return this.refuse(cause, request, reply, done)
    request.log.error({ err: cause }, 'identification strategy failed')
    this.refuse(retryAfter(new FST_TENANT_IDENTIFICATION_FAILED({ cause }), 1), request, reply, done)
  }
}
