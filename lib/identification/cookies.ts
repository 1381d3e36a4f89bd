import type { FastifyInstance, FastifyRequest } from 'fastify'
import { FST_TENANT_UNVERIFIED } from '../errors.ts'
import type { StrategyName } from '../../types/index.ts'
import { unusable } from './unusable.ts'

/** What @fastify/cookie decorates an app with. Its request decorators are of no use here: they are filled in a hook that may come later. */
interface CookieApp {
  parseCookie (header: string): Readonly<Record<string, string | undefined>>
  /** Only where there is a secret. */
  unsignCookie (value: string): { valid: boolean, value: string | null }
}

/** The cookies of a request, none of them trusted. */
export function cookiesOf ({ headers }: FastifyRequest, app: FastifyInstance): Readonly<Record<string, string | undefined>> {
  return headers.cookie === undefined ? {} : cookieApp(app).parseCookie(headers.cookie)
}

/** The value that the app signed. Throws FST_TENANT_UNVERIFIED when it did not. */
export function verified (signed: string, app: FastifyInstance): string {
  const { valid, value } = cookieApp(app).unsignCookie(signed)
  if (!valid || value === null) throw new FST_TENANT_UNVERIFIED()
  return value
}

/** Throws FST_TENANT_OPTION_INVALID, which names the strategy, when the app cannot parse cookies, or check their signatures. */
export function requireCookies (app: FastifyInstance, strategy: StrategyName, signed: boolean): void {
  if (!app.hasDecorator('parseCookie')) throw unusable(strategy, '@fastify/cookie is registered')
  if (signed && !app.hasDecorator('unsignCookie')) throw unusable(strategy, '@fastify/cookie is registered with a secret')
}

function cookieApp (app: FastifyInstance): CookieApp {
  return app as unknown as CookieApp
}
