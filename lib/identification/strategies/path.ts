import type { FastifyRequest } from 'fastify'
import { FST_TENANT_INVALID_ID, FST_TENANT_OPTION_INVALID } from '../../errors.ts'
import type { TenantAnswer } from '../../../types/index.ts'
import { TenantIdentificationStrategy } from '../strategy.ts'
import { originForm } from '../origin-form.ts'
import { isTenantId } from '../../utils/tenant-id.ts'

/** A prefix without parameters and wildcards, because it is compared with URLs literally. */
const LITERAL_PREFIX = /^(?:\/[^/?#%:*]+)*$/
const SEGMENT_END = /[/?#]/
/** A segment of dots is a relative path. An encoded segment would be a different id after the router has decoded it. */
const DECEPTIVE_SEGMENT = /%|^\.\.?$/

/** The options of `PathStrategy`. */
export interface PathStrategyOptions {
  /** The path before the tenant's segment. Other paths name no tenant. Default: `''`. */
  prefix?: string
}

/**
 * Reads the tenant from the first segment of the path. The tenant's routes do not see that segment: `/acme/users` is acme's `/users`.
 * A URL that matches a route of the app names no tenant, so `/health` stays the app's. A segment that cannot be an id, for example
 * `favicon.ico`, names no tenant either.
 * @throws {FST_TENANT_INVALID_ID} for a segment that is encoded or consists of dots
 */
export class PathStrategy extends TenantIdentificationStrategy {
  readonly #prefix: string
  /** The text before the tenant's segment. */
  readonly #root: string

  /** @throws {FST_TENANT_OPTION_INVALID} when the prefix is invalid */
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

  /** Returns whether the segment may be a tenant's id. It may not if a route of the app names it, as `/static/*` does. */
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

/** Removes the final slash, which Fastify leaves on a plugin's prefix. */
function checkPrefix (value: unknown): string {
  const prefix = typeof value === 'string' ? value.replace(/\/$/, '') : null
  if (prefix === null || !LITERAL_PREFIX.test(prefix)) {
    throw new FST_TENANT_OPTION_INVALID('prefix', 'a path without parameters, e.g. "/api"')
  }
  return prefix
}
