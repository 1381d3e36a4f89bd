import { FST_TENANT_OPTION_INVALID } from '../errors.ts'
import type { StrategyName } from '../../types/index.ts'

/** Creates the error that ends the boot when the app lacks something that a strategy needs. */
export function unusable (strategy: StrategyName, condition: string): Error {
  return new FST_TENANT_OPTION_INVALID('identify', `without "${strategy}" unless ${condition}`)
}
