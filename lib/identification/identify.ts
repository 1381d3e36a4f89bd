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

/** Plugin options that built-in strategies read. */
export interface StrategyOptions {
  /** For `'subdomain'` only. */
  baseDomain?: string | undefined
  /** For `'path'`: the prefix that the plugin was registered with. Default: `''`. */
  prefix?: string | undefined
}

/**
 * Returns the strategy for a value of the `identify` option.
 * @throws {FST_TENANT_OPTION_INVALID} when there is none, or `baseDomain` is invalid or unused
 */
export function resolveStrategy (identify: Identify | readonly Identify[], options: StrategyOptions = {}): TenantIdentificationStrategy {
  refuseUnusedBaseDomain(identify, options)
  if (!isList(identify)) return strategyOf(identify, options)
  return new ChainStrategy(identify.map((member) => strategyOf(member, options)))
}

/**
 * Returns a function that creates built-in strategies by name, each once. The function throws FST_TENANT_OPTION_INVALID when a
 * strategy needs a `baseDomain`, and it is missing or invalid.
 */
export function strategyByName (options: StrategyOptions = {}): (name: StrategyName) => TenantIdentificationStrategy {
  const strategies = new Map<StrategyName, TenantIdentificationStrategy>()
  return name => {
    const strategy = strategies.get(name) ?? strategyOf(name, options)
    strategies.set(name, strategy)
    return strategy
  }
}

function strategyOf (identify: Identify, options: StrategyOptions): TenantIdentificationStrategy {
  return isStrategyName(identify) ? createByName(identify, options) : toStrategy(identify)
}

function createByName (name: StrategyName, { baseDomain = '', prefix = '' }: StrategyOptions): TenantIdentificationStrategy {
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

/** Refuses a `baseDomain` that no strategy reads: its author expects hosts to name tenants. */
function refuseUnusedBaseDomain (identify: Identify | readonly Identify[], { baseDomain }: StrategyOptions): void {
  if (baseDomain === undefined || readsBaseDomain(identify)) return
  throw new FST_TENANT_OPTION_INVALID('baseDomain', 'left out unless identify has "subdomain"')
}

/** Returns whether one of the strategies is the built-in `'subdomain'`, which reads `baseDomain`. */
export function readsBaseDomain (identify: Identify | readonly Identify[]): boolean {
  if (isList(identify)) return identify.some(readsBaseDomain)
  return identify instanceof CompositeStrategy ? identify.names('subdomain') : identify === 'subdomain'
}

/** Narrows to a readonly array, which the type of `Array.isArray` does not. */
function isList (identify: Identify | readonly Identify[]): identify is readonly Identify[] {
  return Array.isArray(identify)
}
