import type { FastifyRequest } from 'fastify'
import { checkTenantId } from '../utils/tenant-id.ts'
import { isPromiseLike } from '../utils/is-promise-like.ts'
import type { Identification } from '../identification/identification.ts'
import type { TenantIdentificationStrategy } from '../identification/strategy.ts'
import type { IdCheck } from '../utils/tenant-id.ts'
import type { TenantRegistry } from '../tenants/registry.ts'
import type { TenantAnswer } from '../../types/index.ts'

/** Turns the answer of a strategy into an id that can be looked up. */
export class NamedTenant {
  readonly #identification: Identification
  readonly #registry: TenantRegistry
  readonly #isId: IdCheck

  constructor (identification: Identification, registry: TenantRegistry, isId: IdCheck) {
    this.#identification = identification
    this.#registry = registry
    this.#isId = isId
  }

  /**
   * Returns `null` if the strategy finds no id, and a promise if the strategy returns one. Throws whatever the strategy throws.
   * @throws {FST_TENANT_INVALID_ID}
   */
  idBy (strategy: TenantIdentificationStrategy, request: FastifyRequest): string | null | Promise<string | null> {
    const answer = this.#identification.answer(strategy, request)
    // Wrap thenables: their `then()` may return undefined, which would be read as "no tenant".
    return isPromiseLike(answer) ? Promise.resolve(answer).then(answer => this.#check(answer)) : this.#check(answer)
  }

  /** The id of a loaded tenant is valid, so the pattern is skipped. */
  #check (answer: TenantAnswer): string | null {
    if (typeof answer === 'string' && this.#registry.active(answer) !== undefined) return answer
    return checkTenantId(answer, this.#isId)
  }
}
