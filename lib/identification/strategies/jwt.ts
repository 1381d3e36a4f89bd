import type { FastifyInstance, FastifyRequest } from 'fastify'
import { FST_TENANT_INVALID_ID, FST_TENANT_OPTION_INVALID, FST_TENANT_UNVERIFIED } from '../../errors.ts'
import type { IdentificationContext, TenantAnswer } from '../../../types/index.ts'
import { cookiesOf, requireCookies } from '../cookies.ts'
import { isRepeated } from '../../utils/repeated-header.ts'
import { TenantIdentificationStrategy } from '../strategy.ts'
import { unusable } from '../unusable.ts'

/** What @fastify/jwt decorates an app with. */
interface Jwt {
  cookie?: { cookieName: string, signed?: boolean }
  options: { verify: { extractToken?: (request: FastifyRequest) => string | undefined, onlyCookie?: boolean } }
}

/** What @fastify/jwt throws without a status where the app is wrong; whatever else it does not like is wrong with the token. */
const FAILURES: ReadonlySet<unknown> = new Set(['FAST_JWT_INVALID_OPTION', 'FAST_JWT_KEY_FETCHING_ERROR', 'FAST_JWT_MISSING_KEY'])

/** The options of `JwtStrategy`. */
export interface JwtStrategyOptions {
  /** The claim that names the tenant, or the path to one inside of others. Default: `'tenant'`. */
  claim?: string | readonly string[]
  /** The `namespace` that @fastify/jwt was registered with. Default: none. */
  namespace?: string
  /** The request decorator that verifies. Default: `'jwtVerify'`, with a namespace `'<namespace>JwtVerify'`. */
  jwtVerify?: string
}

/**
 * The tenant is named by a claim of a token, which @fastify/jwt finds and verifies by its own options. A token that does not verify
 * is refused with the error of @fastify/jwt, or with FST_TENANT_UNVERIFIED where that has no status of its own.
 * Throws FST_TENANT_INVALID_ID for several Authorization headers, and FST_TENANT_OPTION_INVALID at construction and at boot.
 */
export class JwtStrategy extends TenantIdentificationStrategy {
  readonly #path: readonly string[]
  readonly #namespace: string | undefined
  readonly #verify: string

  constructor ({ claim = 'tenant', namespace, jwtVerify = namespace === undefined ? 'jwtVerify' : `${namespace}JwtVerify` }: JwtStrategyOptions = {}) {
    super()
    this.#path = checkClaim(claim)
    this.#namespace = namespace
    this.#verify = jwtVerify
  }

  override extractTenantId (request: FastifyRequest, { app }: IdentificationContext): TenantAnswer | Promise<TenantAnswer> {
    if (isRepeated(request, 'authorization')) throw new FST_TENANT_INVALID_ID()
    const jwt = this.#jwtOf(app) as Jwt
    // @fastify/jwt reads cookies that are not parsed yet, and leaves a user behind that no hook of the app has let in.
    const cookies = jwt.cookie === undefined ? {} : cookiesOf(request, app)
    const view: FastifyRequest = Object.create(request, { cookies: { value: cookies } })
    return hasToken(view, jwt, cookies) ? this.#claimOf(view) : undefined
  }

  override check ({ app }: IdentificationContext): void {
    const jwt = this.#jwtOf(app)
    if (jwt === undefined || !app.hasRequestDecorator(this.#verify)) throw unusable('jwt', '@fastify/jwt is registered')
    if (jwt.cookie !== undefined) requireCookies(app, 'jwt', jwt.cookie.signed === true)
  }

  #jwtOf (app: FastifyInstance): Jwt | undefined {
    const jwt: unknown = Reflect.get(app, 'jwt')
    return (this.#namespace === undefined ? jwt : (jwt as Record<string, unknown> | undefined)?.[this.#namespace]) as Jwt | undefined
  }

  async #claimOf (view: FastifyRequest): Promise<TenantAnswer> {
    let claims: unknown
    try {
      claims = await (view as unknown as Record<string, () => Promise<unknown>>)[this.#verify]!()
    } catch (error) {
      throw isTokenFault(error) ? new FST_TENANT_UNVERIFIED({ cause: error }) : error
    }
    // What lets a token through without a word of it has verified nothing.
    if (claims === undefined || claims === null) throw new FST_TENANT_UNVERIFIED()
    return valueAt(this.#path, claims)
  }
}

function checkClaim (claim: unknown): readonly string[] {
  const path: unknown[] = Array.isArray(claim) ? claim : [claim]
  if (path.length === 0 || !path.every(name => typeof name === 'string' && name !== '')) {
    throw new FST_TENANT_OPTION_INVALID('claim', 'the name of a claim, or the path to one, e.g. ["app_metadata", "tenant"]')
  }
  return path as string[]
}

/** Whether there is something to verify. Where it is no token, @fastify/jwt says so. */
function hasToken (view: FastifyRequest, { cookie, options }: Jwt, cookies: object): boolean {
  const { extractToken, onlyCookie = false } = options.verify
  if (extractToken !== undefined) return Boolean(extractToken(view))
  if (!onlyCookie && /^Bearer\b/i.test(view.headers.authorization ?? '')) return true
  return cookie !== undefined && Object.hasOwn(cookies, cookie.cookieName)
}

function isTokenFault (error: unknown): boolean {
  const { code, statusCode } = error as { code?: unknown, statusCode?: unknown }
  return statusCode === undefined && typeof code === 'string' && code.startsWith('FAST_JWT_') && !FAILURES.has(code)
}

/** What the claims themselves say, and not what every object inherits. It may be anything. */
function valueAt (path: readonly string[], claims: unknown): TenantAnswer {
  let value = claims
  for (const name of path) {
    if (value === undefined || value === null) return undefined
    if (typeof value !== 'object') throw new FST_TENANT_INVALID_ID()
    value = Object.hasOwn(value, name) ? Reflect.get(value, name) : undefined
  }
  return value as TenantAnswer
}
