import { check, closestWord, isBoolean } from '../utils/check.ts'
import type { RouteContext } from '../fastify/shapes.ts'
import type { TenantRule } from '../../types/index.ts'

const RULES: readonly TenantRule[] = ['required', 'optional', 'ignore']

/** @throws FST_TENANT_OPTION_INVALID, which names the route, when its config says wrongly how it stands to tenants */
export function checkRouteConfig ({ config }: Pick<RouteContext, 'config'>): void {
  const { tenant, override }: Record<string, unknown> = { ...config }
  if (tenant !== undefined) check(RULES.includes(tenant as TenantRule), `config.tenant of ${nameOf(config)}`, expectedFor(tenant), tenant)
  if (override !== undefined) check(isBoolean(override), `config.override of ${nameOf(config)}`, 'a boolean', override)
}

/** A route as a message names it. */
export function nameOf ({ method, url }: RouteContext['config']): string {
  return `${[method].flat().join(', ')} ${url}`
}

function expectedFor (tenant: unknown): string {
  const nearest = typeof tenant === 'string' ? closestWord(tenant, RULES) : undefined
  return `'required', 'optional' or 'ignore'${nearest === undefined ? '' : ` (did you mean '${nearest}'?)`}`
}
