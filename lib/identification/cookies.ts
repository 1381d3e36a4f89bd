import type { FastifyInstance, FastifyRequest } from 'fastify'
import { FST_TENANT_UNVERIFIED } from '../errors.ts'
import type { StrategyName } from '../../types/index.ts'
import { unusable } from './strategy-unusable.ts'

/** The app decorators of @fastify/cookie. Its request decorators are filled by a hook that may run later than identification. */
interface CookieApp {
  parseCookie (header: string): Readonly<Record<string, string | undefined>>
  /** Exists only if @fastify/cookie was registered with a secret. */
  unsignCookie (value: string): { valid: boolean, value: string | null }
}

/** Returns the cookies of a request. Their signatures have not been verified. */
export function parseCookies ({ headers }: FastifyRequest, app: FastifyInstance): Readonly<Record<string, string | undefined>> {
  return headers.cookie === undefined ? {} : cookieApp(app).parseCookie(headers.cookie)
}

/**
 * Returns the value of a signed cookie.
 * @throws {FST_TENANT_UNVERIFIED} when the app did not sign it
 */
export function unsign (signed: string, app: FastifyInstance): string {
  const { valid, value } = cookieApp(app).unsignCookie(signed)
  if (!valid || value === null) throw new FST_TENANT_UNVERIFIED()
  return value
}

/**
 * Checks that the app can parse cookies and, for `signed`, verify their signatures.
 * @throws {FST_TENANT_OPTION_INVALID} when it cannot; the message names the strategy
 */
export function requireCookies (app: FastifyInstance, strategy: StrategyName, signed: boolean): void {
  if (!app.hasDecorator('parseCookie')) throw unusable(strategy, '@fastify/cookie is registered')
  if (signed && !app.hasDecorator('unsignCookie')) throw unusable(strategy, '@fastify/cookie is registered with a secret')
}

function cookieApp (app: FastifyInstance): CookieApp {
  return app as unknown as CookieApp
}
