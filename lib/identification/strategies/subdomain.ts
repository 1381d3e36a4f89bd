import type { FastifyRequest } from 'fastify'
import { FST_TENANT_INVALID_ID, FST_TENANT_OPTION_INVALID } from '../../errors.ts'
import type { TenantAnswer } from '../../../types/index.ts'
import { canonicalDomain } from '../../hosts/canonical-host.ts'
import { requestHost } from '../../hosts/request-host.ts'
import { isCount, isTexts } from '../../utils/check.ts'
import { TenantIdentificationStrategy } from '../strategy.ts'

/** The options of `SubdomainStrategy`. */
export interface SubdomainStrategyOptions {
  /** The domain whose subdomains are tenants: `example.com` for `acme.example.com`. */
  baseDomain: string
  /** Labels that are not tenants. Default: `['www']`. */
  reserved?: readonly string[]
  /** How many labels may precede `baseDomain`. With 2, `api.acme.example.com` names acme, too. Default: 1. */
  levels?: number
}

/**
 * Reads the tenant from the label before `baseDomain`, in lower case. Other domains, `baseDomain` itself and reserved labels name no tenant.
 * @throws {FST_TENANT_INVALID_ID} for a host that is invalid or has more labels than `levels`, and for several Host headers
 */
export class SubdomainStrategy extends TenantIdentificationStrategy {
  override readonly readsHeadOnly: boolean
  readonly #suffix: string
  readonly #reserved: ReadonlySet<string>
  readonly #levels: number

  /** @throws {FST_TENANT_OPTION_INVALID} when an option is invalid */
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
  if (!isTexts(labels)) throw new FST_TENANT_OPTION_INVALID('reserved', 'an array of labels, e.g. ["www"]')
  return new Set(labels.map((label) => label.toLowerCase()))
}

function checkLevels (value: unknown): number {
  if (!isCount(value)) throw new FST_TENANT_OPTION_INVALID('levels', 'a whole number above 0')
  return value
}
