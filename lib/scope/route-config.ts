import { check, closestWord, isBoolean } from '../utils/check.ts'
import type { RouteContext } from '../fastify/shapes.ts'
import type { TenantRule } from '../../types/index.ts'

const RULES: readonly TenantRule[] = ['required', 'optional', 'ignore']

/**
 * Checks `config.tenant` and `config.override` of a route.
 * @throws {FST_TENANT_OPTION_INVALID} when one has an invalid value; the message names the route
 */
export function checkRouteConfig ({ config }: Pick<RouteContext, 'config'>): void {
  const { tenant, override }: Record<string, unknown> = { ...config }
  if (tenant !== undefined) check(RULES.includes(tenant as TenantRule), `config.tenant of ${nameOf(config)}`, expectedFor(tenant), tenant)
  if (override !== undefined) check(isBoolean(override), `config.override of ${nameOf(config)}`, 'a boolean', override)
}

/** Formats a route for messages, for example `GET /users`. */
export function nameOf ({ method, url }: RouteContext['config']): string {
  return `${[method].flat().join(', ')} ${url}`
}

function expectedFor (tenant: unknown): string {
  const nearest = typeof tenant === 'string' ? closestWord(tenant, RULES) : undefined
  return `'required', 'optional' or 'ignore'${nearest === undefined ? '' : ` (did you mean '${nearest}'?)`}`
}
