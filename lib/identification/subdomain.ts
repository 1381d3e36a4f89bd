import type { FastifyRequest } from 'fastify'
import { FST_TENANT_INVALID_ID, FST_TENANT_OPTION_INVALID } from '../errors.ts'
import type { TenantAnswer } from '../../types/index.ts'
import { canonicalHost } from './host.ts'
import { isRepeated } from './repeated.ts'
import { TenantIdentificationStrategy } from './strategy.ts'

/** A last label that makes the host an IP address: below `0.0.1`, `127.0.0.1` would be a tenant. */
const NUMERIC_END = /(?:^|\.)(?:\d+|0x[0-9a-f]*)$/

/** The options of `SubdomainStrategy`. */
export interface SubdomainStrategyOptions {
  /** The domain below which the first label is the tenant. */
  baseDomain: string
  /** Labels that name no tenant. Default: `['www']`. */
  reserved?: readonly string[]
}

/**
 * The tenant is named by the label before `baseDomain`, in lower case. Other domains, `baseDomain` itself and reserved labels name none.
 * Throws FST_TENANT_INVALID_ID for what is no host, for several labels and for several Host headers,
 * and FST_TENANT_OPTION_INVALID at construction.
 */
export class SubdomainStrategy extends TenantIdentificationStrategy {
  override readonly readsHeadOnly: boolean
  readonly #suffix: string
  readonly #reserved: ReadonlySet<string>

  constructor (options: SubdomainStrategyOptions) {
    super()
    // A subclass may read more.
    this.readsHeadOnly = new.target === SubdomainStrategy
    this.#suffix = `.${checkBaseDomain(options?.baseDomain)}`
    this.#reserved = checkReserved(options.reserved ?? ['www'])
  }

  override extractTenantId (request: FastifyRequest): TenantAnswer {
    if (isRepeated(request, 'host')) throw new FST_TENANT_INVALID_ID()
    // HTTP/1.0 needs no Host header.
    if (request.host === '') return undefined
    const host = canonicalHost(request.host)
    if (host === null) throw new FST_TENANT_INVALID_ID()
    if (!host.endsWith(this.#suffix)) return undefined
    return this.#labelOf(host)
  }

  #labelOf (host: string): string | undefined {
    const label = host.slice(0, -this.#suffix.length)
    if (this.#reserved.has(label)) return undefined
    if (label.includes('.')) throw new FST_TENANT_INVALID_ID()
    return label
  }
}

function checkBaseDomain (value: unknown): string {
  const domain = typeof value === 'string' ? canonicalHost(value) : null
  if (domain === null || domain.startsWith('[') || NUMERIC_END.test(domain)) {
    throw new FST_TENANT_OPTION_INVALID('baseDomain', 'a domain name, e.g. "example.com"')
  }
  return domain
}

function checkReserved (labels: unknown): Set<string> {
  if (!Array.isArray(labels) || !labels.every(isText)) {
    throw new FST_TENANT_OPTION_INVALID('reserved', 'an array of labels, e.g. ["www"]')
  }
  return new Set(labels.map((label) => label.toLowerCase()))
}

function isText (value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}
