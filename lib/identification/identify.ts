import { FST_TENANT_OPTION_INVALID } from '../errors.ts'
import type { Identify, StrategyName } from '../../types/index.ts'
import { ChainStrategy } from './chain.ts'
import { CompositeStrategy } from './composite.ts'
import { CookieStrategy } from './strategies/cookie.ts'
import { HeaderStrategy } from './strategies/header.ts'
import { HostStrategy } from './strategies/host.ts'
import { JwtStrategy } from './strategies/jwt.ts'
import { PathStrategy } from './strategies/path.ts'
import { QueryStrategy } from './strategies/query.ts'
import type { TenantIdentificationStrategy } from './strategy.ts'
import { SubdomainStrategy } from './strategies/subdomain.ts'
import { isStrategyName, toStrategy } from './to-strategy.ts'

/** What stands beside `identify`. */
export interface BesideIdentify {
  /** For `'subdomain'`, and for nothing else. */
  baseDomain?: string | undefined
  /** The prefix that the plugin was registered under, for `'path'`. Default: `''`. */
  prefix?: string | undefined
}

/** The strategy that the `identify` option means. Throws FST_TENANT_OPTION_INVALID when it means none, or `baseDomain` is wrong. */
export function resolveStrategy (identify: Identify | readonly Identify[], beside: BesideIdentify = {}): TenantIdentificationStrategy {
  refuseIdleBaseDomain(identify, beside)
  if (!isList(identify)) return strategyOf(identify, beside)
  return new ChainStrategy(identify.map((member) => strategyOf(member, beside)))
}

/** Makes strategies by their names, each once. What it answers with throws FST_TENANT_OPTION_INVALID when `baseDomain` is wrong. */
export function strategyByName (beside: BesideIdentify = {}): (name: StrategyName) => TenantIdentificationStrategy {
  const made = new Map<StrategyName, TenantIdentificationStrategy>()
  return name => {
    const strategy = made.get(name) ?? strategyOf(name, beside)
    made.set(name, strategy)
    return strategy
  }
}

function strategyOf (identify: Identify, beside: BesideIdentify): TenantIdentificationStrategy {
  return isStrategyName(identify) ? named(identify, beside) : toStrategy(identify)
}

function named (name: StrategyName, { baseDomain = '', prefix = '' }: BesideIdentify): TenantIdentificationStrategy {
  switch (name) {
    case 'header': return new HeaderStrategy()
    case 'subdomain': return new SubdomainStrategy({ baseDomain })
    case 'host': return new HostStrategy()
    case 'path': return new PathStrategy({ prefix })
    case 'query': return new QueryStrategy()
    case 'cookie': return new CookieStrategy()
    case 'jwt': return new JwtStrategy()
  }
}

/** A domain that nothing reads is a mistake: whoever sets it believes that hosts are looked at. */
function refuseIdleBaseDomain (identify: Identify | readonly Identify[], { baseDomain }: BesideIdentify): void {
  if (baseDomain === undefined || readsBaseDomain(identify)) return
  throw new FST_TENANT_OPTION_INVALID('baseDomain', 'left out unless identify has "subdomain"')
}

/** Whether a strategy of these is the one that `baseDomain` is for. */
export function readsBaseDomain (identify: Identify | readonly Identify[]): boolean {
  if (isList(identify)) return identify.some(readsBaseDomain)
  return identify instanceof CompositeStrategy ? identify.names('subdomain') : identify === 'subdomain'
}

/** `Array.isArray` does not tell a readonly array from the rest. */
function isList (identify: Identify | readonly Identify[]): identify is readonly Identify[] {
  return Array.isArray(identify)
}
