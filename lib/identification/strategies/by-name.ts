import type { StrategyName } from '../../../types/index.ts'
import type { TenantIdentificationStrategy } from '../strategy.ts'
import { CookieStrategy } from './cookie.ts'
import { HeaderStrategy } from './header.ts'
import { HostStrategy } from './host.ts'
import { JwtStrategy } from './jwt.ts'
import { PathStrategy } from './path.ts'
import { QueryStrategy } from './query.ts'
import { SubdomainStrategy } from './subdomain.ts'

/** Plugin options that built-in strategies read. */
export interface StrategyOptions {
  /** For `'subdomain'` only. */
  baseDomain?: string | undefined
  /** For `'path'`: the prefix that the plugin was registered with. Default: `''`. */
  prefix?: string | undefined
}

/** The strategies that the `identify` option knows by name. Add a new one here. */
const BY_NAME: Record<StrategyName, (options: StrategyOptions) => TenantIdentificationStrategy> = {
  header: () => new HeaderStrategy(),
  subdomain: ({ baseDomain = '' }) => new SubdomainStrategy({ baseDomain }),
  host: () => new HostStrategy(),
  path: ({ prefix = '' }) => new PathStrategy({ prefix }),
  query: () => new QueryStrategy(),
  cookie: () => new CookieStrategy(),
  jwt: () => new JwtStrategy()
}

export const STRATEGY_NAMES: readonly string[] = Object.keys(BY_NAME)

/** Returns whether a value is the name of a built-in strategy. */
export function isStrategyName (value: unknown): value is StrategyName {
  return typeof value === 'string' && Object.hasOwn(BY_NAME, value)
}

/** @throws {FST_TENANT_OPTION_INVALID} when the strategy needs a `baseDomain` that is missing or invalid */
export function createByName (name: StrategyName, options: StrategyOptions): TenantIdentificationStrategy {
  return BY_NAME[name](options)
}
