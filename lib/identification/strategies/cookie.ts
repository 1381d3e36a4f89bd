import type { FastifyRequest } from 'fastify'
import { FST_TENANT_INVALID_ID, FST_TENANT_OPTION_INVALID } from '../../errors.ts'
import type { IdentificationContext, TenantAnswer } from '../../../types/index.ts'
import { cookiesOf, requireCookies, verified } from '../cookies.ts'
import { TenantIdentificationStrategy } from '../strategy.ts'

/** What RFC 6265 lets a cookie be called. */
const COOKIE_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/

/** The options of `CookieStrategy`. */
export interface CookieStrategyOptions {
  /** The name of the cookie. Default: `'tenant'`. */
  cookie?: string
  /** Whether the app must have signed it, with the secret of @fastify/cookie. Default: `true`. */
  signed?: boolean
}

/**
 * The tenant is named by a cookie, which @fastify/cookie parses and verifies. A signature does not cover the cookie's name: whatever
 * the app signs with the same secret may be sent as this cookie. Throws FST_TENANT_UNVERIFIED for one that the app did not sign,
 * FST_TENANT_INVALID_ID for one that is there more than once, and FST_TENANT_OPTION_INVALID at construction and at boot.
 */
export class CookieStrategy extends TenantIdentificationStrategy {
  readonly #cookie: string
  readonly #signed: boolean

  constructor ({ cookie = 'tenant', signed = true }: CookieStrategyOptions = {}) {
    super()
    if (typeof cookie !== 'string' || !COOKIE_NAME.test(cookie)) throw new FST_TENANT_OPTION_INVALID('cookie', 'the name of a cookie, e.g. "tenant"')
    if (typeof signed !== 'boolean') throw new FST_TENANT_OPTION_INVALID('signed', 'a boolean')
    this.#cookie = cookie
    this.#signed = signed
  }

  override extractTenantId (request: FastifyRequest, { app }: IdentificationContext): TenantAnswer {
    const cookies = cookiesOf(request, app)
    // A cookie may be called `constructor`, which every object inherits.
    if (!Object.hasOwn(cookies, this.#cookie)) return undefined
    if (this.#isRepeated(request)) throw new FST_TENANT_INVALID_ID()
    const value = cookies[this.#cookie] as string
    return this.#signed ? verified(value, app) : value
  }

  override check ({ app }: IdentificationContext): void {
    requireCookies(app, 'cookie', this.#signed)
  }

  /** A page of a sibling domain can set a second one, and which of the two comes first is up to it. */
  #isRepeated ({ headers }: FastifyRequest): boolean {
    const pairs = (headers.cookie as string).split(';')
    return pairs.filter(pair => pair.split('=', 1)[0]?.trim() === this.#cookie).length > 1
  }
}
