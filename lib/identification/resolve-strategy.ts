import { FST_TENANT_OPTION_INVALID } from '../errors.ts'
import type { Identify, StrategyName } from '../../types/index.ts'
import { ChainStrategy } from './chain.ts'
import { CompositeStrategy } from './composite.ts'
import type { TenantIdentificationStrategy } from './strategy.ts'
import { createByName, isStrategyName } from './strategies/by-name.ts'
import { toStrategy } from './to-strategy.ts'
import type { StrategyOptions } from './strategies/by-name.ts'

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
