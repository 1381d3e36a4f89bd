import type { FastifyRequest } from 'fastify'
import { FST_TENANT_INVALID_ID, FST_TENANT_OPTION_INVALID } from '../../errors.ts'
import type { TenantAnswer } from '../../../types/index.ts'
import { TenantIdentificationStrategy } from '../strategy.ts'

/** The options of `QueryStrategy`. */
export interface QueryStrategyOptions {
  /** The name of the parameter. Default: `'tenant'`. */
  parameter?: string
}

/**
 * Reads the tenant from a parameter of the query string.
 * @throws {FST_TENANT_INVALID_ID} for a parameter that the query string holds more than once
 */
export class QueryStrategy extends TenantIdentificationStrategy {
  readonly #parameter: string

  /** @throws {FST_TENANT_OPTION_INVALID} when the option is invalid */
  constructor ({ parameter = 'tenant' }: QueryStrategyOptions = {}) {
    super()
    if (typeof parameter !== 'string' || parameter === '') {
      throw new FST_TENANT_OPTION_INVALID('parameter', 'the name of a query parameter, e.g. "tenant"')
    }
    this.#parameter = parameter
  }

  override extractTenantId (request: FastifyRequest): TenantAnswer {
    const value = ownValue(request.query, this.#parameter)
    if (value === undefined) return undefined
    // A repeated parameter is an array. A custom parser may return anything.
    if (typeof value.own !== 'string') throw new FST_TENANT_INVALID_ID()
    return value.own
  }
}

/** Reads own properties only: a custom parser may return any value, even one that inherits properties. */
function ownValue (query: unknown, name: string): { own: unknown } | undefined {
  if (typeof query !== 'object' || query === null || !Object.hasOwn(query, name)) return undefined
  return { own: Reflect.get(query, name) }
}
