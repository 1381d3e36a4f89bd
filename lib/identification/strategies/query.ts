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
 * The tenant is named by a parameter of the query string. Throws FST_TENANT_INVALID_ID for one that is there more than once,
 * and FST_TENANT_OPTION_INVALID at construction.
 */
export class QueryStrategy extends TenantIdentificationStrategy {
  readonly #parameter: string

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
    // Repeated, an array; with a parser of the app's own, whatever that makes of `tenant[a]=b`.
    if (typeof value.own !== 'string') throw new FST_TENANT_INVALID_ID()
    return value.own
  }
}

/** What the app's own query string parser answers with may be anything, and may inherit. */
function ownValue (query: unknown, name: string): { own: unknown } | undefined {
  if (typeof query !== 'object' || query === null || !Object.hasOwn(query, name)) return undefined
  return { own: Reflect.get(query, name) }
}
