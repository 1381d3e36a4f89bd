import type { FastifyRequest } from 'fastify'
import { checkTenantId } from '../utils/tenant-id.ts'
import { isPromiseLike } from '../utils/is-promise-like.ts'
import type { Identification } from '../identification/identification.ts'
import type { TenantIdentificationStrategy } from '../identification/strategy.ts'
import type { IdCheck } from '../utils/tenant-id.ts'
import type { TenantRegistry } from '../tenants/registry.ts'
import type { TenantAnswer } from '../../types/index.ts'

/** The tenant that a strategy names, as an id that can be looked up. */
export class NamedTenant {
  readonly #identification: Identification
  readonly #registry: TenantRegistry
  readonly #isId: IdCheck

  constructor (identification: Identification, registry: TenantRegistry, isId: IdCheck) {
    this.#identification = identification
    this.#registry = registry
    this.#isId = isId
  }

  /** `null` when the strategy names nobody; a promise of it where the strategy gives one. @throws FST_TENANT_INVALID_ID, and what the strategy throws */
  idBy (strategy: TenantIdentificationStrategy, request: FastifyRequest): string | null | Promise<string | null> {
    const answer = this.#identification.answer(strategy, request)
    // A foreign `then` may return nothing, which would be taken for no answer.
    return isPromiseLike(answer) ? Promise.resolve(answer).then(answer => this.#check(answer)) : this.#check(answer)
  }

  /** The pattern is not asked about the id of a tenant that is loaded. */
  #check (answer: TenantAnswer): string | null {
    if (typeof answer === 'string' && this.#registry.active(answer) !== undefined) return answer
    return checkTenantId(answer, this.#isId)
  }
}
