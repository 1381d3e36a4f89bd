import { FST_TENANT_OPTION_INVALID } from '../errors.ts'
import type { IdentifyFunction } from '../../types/index.ts'
import { STRATEGY_NAMES } from './strategies/by-name.ts'
import { FunctionStrategy } from './strategies/function.ts'
import type { TenantIdentificationStrategy } from './strategy.ts'

/**
 * Returns the strategy that a user has given, or a strategy that calls the given function.
 * @throws {FST_TENANT_OPTION_INVALID} when the value is neither
 */
export function toStrategy (value: unknown): TenantIdentificationStrategy {
  if (isStrategy(value)) return value
  if (isStrategyClass(value)) throw new FST_TENANT_OPTION_INVALID('identify', `an instance: new ${value.name}(…), not the class`)
  if (isFunction(value)) return new FunctionStrategy(value)
  throw new FST_TENANT_OPTION_INVALID('identify', expected(value))
}

function isStrategy (value: unknown): value is TenantIdentificationStrategy {
  return typeof value === 'object' && value !== null && 'extractTenantId' in value && isFunction(value.extractTenantId)
}

function isFunction (value: unknown): value is IdentifyFunction {
  return typeof value === 'function'
}

/** Detects a class that was given instead of an instance: called as a function, it would refuse every request. */
function isStrategyClass (value: unknown): value is { name: string } {
  return isFunction(value) && isStrategy(Reflect.get(value, 'prototype'))
}

function expected (value: unknown): string {
  if (typeof value !== 'object' || value === null) {
    return `"${STRATEGY_NAMES.join('", "')}", a strategy, a function, or a non-empty array of these`
  }
  const prototype: object | null = Object.getPrototypeOf(value)
  return `a strategy: ${prototype?.constructor.name ?? 'Object'} has no method extractTenantId`
}
