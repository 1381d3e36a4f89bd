import type { FastifyRequest } from 'fastify'
import { FST_TENANT_INVALID_ID, FST_TENANT_OPTION_INVALID } from '../../errors.ts'
import type { TenantAnswer } from '../../../types/index.ts'
import { isRepeated } from '../../utils/repeated-header.ts'
import { TenantIdentificationStrategy } from '../strategy.ts'

const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9a-z-]+$/

/** The options of `HeaderStrategy`. */
export interface HeaderStrategyOptions {
  /** The name of the header, in lower case. Default: `'x-tenant-id'`. */
  header?: string
}

/**
 * Reads the tenant from a header.
 * @throws {FST_TENANT_INVALID_ID} for a header that the request holds more than once
 */
export class HeaderStrategy extends TenantIdentificationStrategy {
  override readonly readsHeadOnly: boolean
  readonly #header: string
  readonly #mayHideRepeats: boolean

  /** @throws {FST_TENANT_OPTION_INVALID} when the option is invalid */
  constructor ({ header = 'x-tenant-id' }: HeaderStrategyOptions = {}) {
    super()
    if (typeof header !== 'string' || !HEADER_NAME.test(header)) {
      throw new FST_TENANT_OPTION_INVALID('header', 'a header name in lower case, e.g. "x-tenant-id"')
    }
    // A subclass may read more.
    this.readsHeadOnly = new.target === HeaderStrategy
    this.#header = header
    // Node joins repeated x- headers to `a, b`, which is not an id, but keeps only the first of some other headers.
    this.#mayHideRepeats = !header.startsWith('x-')
  }

  override extractTenantId (request: FastifyRequest): TenantAnswer {
    const { headers } = request
    // Own properties only: a header may be named `constructor`.
    const value = Object.hasOwn(headers, this.#header) ? headers[this.#header] : undefined
    if (value === undefined) return undefined
    if (Array.isArray(value)) throw new FST_TENANT_INVALID_ID()
    if (this.#mayHideRepeats && isRepeated(request, this.#header)) throw new FST_TENANT_INVALID_ID()
    return value
  }
}
