import type { FastifyRequest } from 'fastify'
import { FST_TENANT_INVALID_ID, FST_TENANT_OPTION_INVALID } from '../../errors.ts'
import type { IdentificationContext, TenantAnswer } from '../../../types/index.ts'
import { parseCookies, requireCookies, unsign } from '../cookies.ts'
import { TenantIdentificationStrategy } from '../strategy.ts'

/** The cookie names that RFC 6265 allows. */
const COOKIE_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/

/** The options of `CookieStrategy`. */
export interface CookieStrategyOptions {
  /** The name of the cookie. Default: `'tenant'`. */
  cookie?: string
  /** Whether the cookie must be signed with the secret of @fastify/cookie. Default: `true`. */
  signed?: boolean
}

/**
 * Reads the tenant from a cookie, which @fastify/cookie parses and verifies. The signature does not cover the cookie's name: a client
 * may send any value that the app has signed with the same secret as this cookie.
 * @throws {FST_TENANT_UNVERIFIED} for a cookie that the app did not sign
 * @throws {FST_TENANT_INVALID_ID} for a cookie that the request holds more than once
 */
export class CookieStrategy extends TenantIdentificationStrategy {
  readonly #cookie: string
  readonly #signed: boolean

  /** @throws {FST_TENANT_OPTION_INVALID} when an option is invalid */
  constructor ({ cookie = 'tenant', signed = true }: CookieStrategyOptions = {}) {
    super()
    if (typeof cookie !== 'string' || !COOKIE_NAME.test(cookie)) throw new FST_TENANT_OPTION_INVALID('cookie', 'the name of a cookie, e.g. "tenant"')
    if (typeof signed !== 'boolean') throw new FST_TENANT_OPTION_INVALID('signed', 'a boolean')
    this.#cookie = cookie
    this.#signed = signed
  }

  override extractTenantId (request: FastifyRequest, { app }: IdentificationContext): TenantAnswer {
    const cookies = parseCookies(request, app)
    // Own properties only: a cookie may be named `constructor`.
    if (!Object.hasOwn(cookies, this.#cookie)) return undefined
    if (this.#isRepeated(request)) throw new FST_TENANT_INVALID_ID()
    const value = cookies[this.#cookie] as string
    return this.#signed ? unsign(value, app) : value
  }

  /** @throws {FST_TENANT_OPTION_INVALID} when @fastify/cookie is missing, or has no secret for signed cookies */
  override check ({ app }: IdentificationContext): void {
    requireCookies(app, 'cookie', this.#signed)
  }

  /** A page of a sibling domain can set a second cookie of the same name, and can choose which of the two comes first. */
  #isRepeated ({ headers }: FastifyRequest): boolean {
    const pairs = (headers.cookie as string).split(';')
    return pairs.filter(pair => pair.split('=', 1)[0]?.trim() === this.#cookie).length > 1
  }
}
