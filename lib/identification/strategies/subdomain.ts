import type { FastifyRequest } from 'fastify'
import { FST_TENANT_INVALID_ID, FST_TENANT_OPTION_INVALID } from '../../errors.ts'
import type { TenantAnswer } from '../../../types/index.ts'
import { canonicalDomain } from '../../hosts/canonical-host.ts'
import { requestHost } from '../../hosts/request-host.ts'
import { TenantIdentificationStrategy } from '../strategy.ts'

/** The options of `SubdomainStrategy`. */
export interface SubdomainStrategyOptions {
  /** The domain below which the label next to it is the tenant. */
  baseDomain: string
  /** Labels that name no tenant. Default: `['www']`. */
  reserved?: readonly string[]
  /** How many labels there may be before `baseDomain`: with 2, `api.acme.example.com` is of acme too. Default: 1. */
  levels?: number
}

/**
 * The tenant is named by the label before `baseDomain`, in lower case. Other domains, `baseDomain` itself and reserved labels name none.
 * Throws FST_TENANT_INVALID_ID for what is no host, for more labels than `levels` and for several Host headers,
 * and FST_TENANT_OPTION_INVALID at construction.
 */
export class SubdomainStrategy extends TenantIdentificationStrategy {
  override readonly readsHeadOnly: boolean
  readonly #suffix: string
  readonly #reserved: ReadonlySet<string>
  readonly #levels: number

  constructor (options: SubdomainStrategyOptions) {
    super()
    // A subclass may read more.
    this.readsHeadOnly = new.target === SubdomainStrategy
    this.#suffix = `.${checkBaseDomain(options?.baseDomain)}`
    this.#reserved = checkReserved(options.reserved ?? ['www'])
    this.#levels = checkLevels(options.levels ?? 1)
  }

  override extractTenantId (request: FastifyRequest): TenantAnswer {
    const host = requestHost(request)
    return host?.endsWith(this.#suffix) === true ? this.#labelOf(host) : undefined
  }

  #labelOf (host: string): string | undefined {
    const labels = host.slice(0, -this.#suffix.length).split('.')
    if (labels.length > this.#levels) throw new FST_TENANT_INVALID_ID()
    const label = labels.at(-1) as string
    return this.#reserved.has(label) ? undefined : label
  }
}

function checkBaseDomain (value: unknown): string {
  const domain = typeof value === 'string' ? canonicalDomain(value) : null
  if (domain === null) throw new FST_TENANT_OPTION_INVALID('baseDomain', 'a domain name, e.g. "example.com"')
  return domain
}

function checkReserved (labels: unknown): Set<string> {
  if (!Array.isArray(labels) || !labels.every(isText)) {
    throw new FST_TENANT_OPTION_INVALID('reserved', 'an array of labels, e.g. ["www"]')
  }
  return new Set(labels.map((label) => label.toLowerCase()))
}

function checkLevels (value: unknown): number {
  if (!Number.isSafeInteger(value) || (value as number) < 1) throw new FST_TENANT_OPTION_INVALID('levels', 'a whole number above 0')
  return value as number
}

function isText (value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}
