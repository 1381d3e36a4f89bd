import type { FastifyInstance, FastifyRequest } from 'fastify'
import { FST_TENANT_INVALID_ID, FST_TENANT_OPTION_INVALID, FST_TENANT_UNVERIFIED } from '../../errors.ts'
import type { IdentificationContext, TenantAnswer } from '../../../types/index.ts'
import { parseCookies, requireCookies } from '../cookies.ts'
import { isRepeated } from '../../utils/repeated-header.ts'
import { TenantIdentificationStrategy } from '../strategy.ts'
import { unusable } from '../strategy-unusable.ts'

/** The app decorator of @fastify/jwt. */
interface Jwt {
  cookie?: { cookieName: string, signed?: boolean }
  options: { verify: { extractToken?: (request: FastifyRequest) => string | undefined, onlyCookie?: boolean } }
}

/** The codes of @fastify/jwt errors that show a misconfigured app. Its other errors without a status are about the token. */
const APP_FAULTS: ReadonlySet<unknown> = new Set(['FAST_JWT_INVALID_OPTION', 'FAST_JWT_KEY_FETCHING_ERROR', 'FAST_JWT_MISSING_KEY'])

/** The options of `JwtStrategy`. */
export interface JwtStrategyOptions {
  /** The claim that names the tenant, or the path to a nested claim. Default: `'tenant'`. */
  claim?: string | readonly string[]
  /** The `namespace` that @fastify/jwt was registered with. Default: none. */
  namespace?: string
  /** The request decorator that verifies the token. Default: `'jwtVerify'`, or `'<namespace>JwtVerify'` with a namespace. */
  jwtVerify?: string
}

/**
 * Reads the tenant from a claim of a token. @fastify/jwt finds and verifies the token, with its own options. An error of @fastify/jwt
 * that has a status is thrown as it is.
 * @throws {FST_TENANT_UNVERIFIED} for a token that does not verify, if the error of @fastify/jwt has no status
 * @throws {FST_TENANT_INVALID_ID} for several Authorization headers, and for a claim path that leads through a value that is not an object
 */
export class JwtStrategy extends TenantIdentificationStrategy {
  readonly #path: readonly string[]
  readonly #namespace: string | undefined
  readonly #verify: string

  /** @throws {FST_TENANT_OPTION_INVALID} when the claim is invalid */
  constructor ({ claim = 'tenant', namespace, jwtVerify = namespace === undefined ? 'jwtVerify' : `${namespace}JwtVerify` }: JwtStrategyOptions = {}) {
    super()
    this.#path = checkClaim(claim)
    this.#namespace = namespace
    this.#verify = jwtVerify
  }

  override extractTenantId (request: FastifyRequest, { app }: IdentificationContext): TenantAnswer | Promise<TenantAnswer> {
    if (isRepeated(request, 'authorization')) throw new FST_TENANT_INVALID_ID()
    const jwt = this.#jwtOf(app) as Jwt
    // @fastify/jwt reads `cookies`, which are not parsed yet, and sets `user`, which the app's hooks have yet to check. A view holds both, so that the request itself stays unchanged.
    const cookies = jwt.cookie === undefined ? {} : parseCookies(request, app)
    const view: FastifyRequest = Object.create(request, { cookies: { value: cookies } })
    return hasToken(view, jwt, cookies) ? this.#claimOf(view) : undefined
  }

  /** @throws {FST_TENANT_OPTION_INVALID} when @fastify/jwt is missing, or @fastify/cookie for a token in a cookie */
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
    // A verifier that returns no claims has not verified the token.
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

/** Returns whether there is anything to verify. @fastify/jwt refuses it if it is not a token. */
function hasToken (view: FastifyRequest, { cookie, options }: Jwt, cookies: object): boolean {
  const { extractToken, onlyCookie = false } = options.verify
  if (extractToken !== undefined) return Boolean(extractToken(view))
  if (!onlyCookie && /^Bearer\b/i.test(view.headers.authorization ?? '')) return true
  return cookie !== undefined && Object.hasOwn(cookies, cookie.cookieName)
}

function isTokenFault (error: unknown): boolean {
  const { code, statusCode } = error as { code?: unknown, statusCode?: unknown }
  return statusCode === undefined && typeof code === 'string' && code.startsWith('FAST_JWT_') && !APP_FAULTS.has(code)
}

/** Returns the claim at a path, from own properties only. The value may be of any type. */
function valueAt (path: readonly string[], claims: unknown): TenantAnswer {
  let value = claims
  for (const name of path) {
    if (value === undefined || value === null) return undefined
    if (typeof value !== 'object') throw new FST_TENANT_INVALID_ID()
    value = Object.hasOwn(value, name) ? Reflect.get(value, name) : undefined
  }
  return value as TenantAnswer
}
