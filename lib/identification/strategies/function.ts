import type { FastifyRequest } from 'fastify'
import type { IdentifyFunction, TenantAnswer } from '../../../types/index.ts'
import { TenantIdentificationStrategy } from '../strategy.ts'

/** Asks a function for the tenant. The function may be async. */
export class FunctionStrategy extends TenantIdentificationStrategy {
  readonly #identify: IdentifyFunction

  constructor (identify: IdentifyFunction) {
    super()
    this.#identify = identify
  }

  override extractTenantId (request: FastifyRequest): TenantAnswer | Promise<TenantAnswer> {
    return this.#identify(request)
  }
}
