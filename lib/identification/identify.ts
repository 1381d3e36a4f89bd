import { FST_TENANT_OPTION_INVALID } from '../errors.ts'
import type { Identify } from '../../types/index.ts'
import { ChainStrategy } from './chain.ts'
import { HeaderStrategy } from './header.ts'
import { PathStrategy } from './path.ts'
import { QueryStrategy } from './query.ts'
import type { TenantIdentificationStrategy } from './strategy.ts'
import { SubdomainStrategy } from './subdomain.ts'
import { toStrategy } from './to-strategy.ts'

/** What stands beside `identify`. */
export interface IdentifyContext {
  /** For `'subdomain'`, and for nothing else. */
  baseDomain?: string | undefined
  /** The prefix that the plugin was registered under, for `'path'`. Default: `''`. */
  prefix?: string | undefined
}

/** The strategy that the `identify` option means. Throws FST_TENANT_OPTION_INVALID when it means none, or `baseDomain` is wrong. */
export function resolveStrategy (identify: Identify | readonly Identify[], context: IdentifyContext = {}): TenantIdentificationStrategy {
  refuseIdleBaseDomain(identify, context)
  if (!isList(identify)) return strategyOf(identify, context)
  return new ChainStrategy(identify.map((member) => strategyOf(member, context)))
}

function strategyOf (identify: Identify, { baseDomain = '', prefix = '' }: IdentifyContext): TenantIdentificationStrategy {
  switch (identify) {
    case 'header': return new HeaderStrategy()
    case 'subdomain': return new SubdomainStrategy({ baseDomain })
    case 'path': return new PathStrategy({ prefix })
    case 'query': return new QueryStrategy()
    default: return toStrategy(identify)
  }
}

/** A domain that nothing reads is a mistake: whoever sets it believes that hosts are looked at. */
function refuseIdleBaseDomain (identify: Identify | readonly Identify[], { baseDomain }: IdentifyContext): void {
  if (baseDomain === undefined || readsBaseDomain(identify)) return
  throw new FST_TENANT_OPTION_INVALID('baseDomain', 'left out unless identify has "subdomain"')
}

/** Whether a strategy of these is the one that `baseDomain` is for. */
export function readsBaseDomain (identify: Identify | readonly Identify[]): boolean {
  return isList(identify) ? identify.includes('subdomain') : identify === 'subdomain'
}

/** `Array.isArray` does not tell a readonly array from the rest. */
function isList (identify: Identify | readonly Identify[]): identify is readonly Identify[] {
  return Array.isArray(identify)
}
