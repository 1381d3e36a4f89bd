import { FST_TENANT_OPTION_INVALID } from '../errors.ts'
import type { StrategyName } from '../../types/index.ts'

/** What a boot ends with when a strategy is used that the app is not made for. */
export function unusable (strategy: StrategyName, condition: string): Error {
  return new FST_TENANT_OPTION_INVALID('identify', `without "${strategy}" unless ${condition}`)
}
