import type { FastifyRequest } from 'fastify'
import { FST_TENANT_INVALID_ID, FST_TENANT_OPTION_INVALID } from '../../errors.ts'
import type { TenantAnswer } from '../../../types/index.ts'
import { TenantIdentificationStrategy } from '../strategy.ts'
import { originForm } from '../target.ts'
import { isTenantId } from '../../utils/tenant-id.ts'

/** No parameters and wildcards: the prefix is compared with URLs as it is. */
const LITERAL_PREFIX = /^(?:\/[^/?#%:*]+)*$/
const SEGMENT_END = /[/?#]/
/** Dots climb, and an encoded segment is one id for the router and another for us. */
const DECEPTIVE_SEGMENT = /%|^\.\.?$/

/** The options of `PathStrategy`. */
export interface PathStrategyOptions {
  /** The path before the tenant's segment; what is not below it names no tenant. Default: `''`. */
  prefix?: string
}

/**
 * The tenant is named by the first segment of the path, which the tenant's routes do not see: `/acme/users` is the `/users` of acme.
 * The app's own routes name none, so `/health` stays what it is; a first segment that can be no id, as `favicon.ico`, neither.
 * Throws FST_TENANT_INVALID_ID for a segment that is encoded or made of dots, and FST_TENANT_OPTION_INVALID at construction.
 */
export class PathStrategy extends TenantIdentificationStrategy {
  readonly #prefix: string
  /** What stands before the segment. */
  readonly #root: string

  constructor ({ prefix = '' }: PathStrategyOptions = {}) {
    super()
    this.#prefix = checkPrefix(prefix)
    this.#root = `${this.#prefix}/`
  }

  override extractTenantId (request: FastifyRequest): TenantAnswer {
    if (request.url === '*' || !this.#isFree(request)) return undefined
    const path = originForm(request.url)
    if (path === null) throw new FST_TENANT_INVALID_ID()
    const segment = this.#segmentOf(path)
    if (DECEPTIVE_SEGMENT.test(segment)) throw new FST_TENANT_INVALID_ID()
    return isTenantId(segment) ? segment : undefined
  }

  override tenantUrl (request: FastifyRequest, id: string): string {
    const path = originForm(request.url)
    if (path === null || this.#segmentOf(path) !== id || !this.#isFree(request)) return request.url
    const rest = path.slice(this.#root.length + id.length)
    return rest.startsWith('/') ? this.#prefix + rest : this.#root + rest
  }

  /** Whether the app leaves the segment open. A wildcard behind it, as in `/static/*`, has named it already. */
  #isFree (request: FastifyRequest): boolean {
    if (request.is404) return true
    const url = request.routeOptions.url ?? ''
    return url.endsWith('*') && url.length <= this.#root.length + 1
  }

  #segmentOf (path: string): string {
    if (!path.startsWith(this.#root)) return ''
    const rest = path.slice(this.#root.length)
    const end = rest.search(SEGMENT_END)
    return end === -1 ? rest : rest.slice(0, end)
  }
}

/** Fastify leaves the last slash on a plugin's prefix. */
function checkPrefix (value: unknown): string {
  const prefix = typeof value === 'string' ? value.replace(/\/$/, '') : null
  if (prefix === null || !LITERAL_PREFIX.test(prefix)) {
    throw new FST_TENANT_OPTION_INVALID('prefix', 'a path without parameters, e.g. "/api"')
  }
  return prefix
}
