import { FST_TENANT_OPTION_INVALID } from './errors.ts'
import { readsBaseDomain, resolveStrategy, strategiesByName } from './identification/identify.ts'
import { isAnyId, isTenantId } from './identification/tenant-id.ts'
import { createConfigChecker } from './loading/config-checker.ts'
import { PluginManager } from './loading/plugin-manager.ts'
import { resolveSource } from './sources/resolve.ts'
import type { AutoloadOptions, IdentificationContext, Identify, MultitenantOptions, ServiceContext, TenantConfig, TenantSource } from '../types/index.ts'
import type { TenantIdentificationStrategy } from './identification/strategy.ts'
import type { IdCheck } from './identification/tenant-id.ts'
import type { ConfigChecker } from './loading/config-checker.ts'

/** What loading a tenant needs of the plugin's options. */
export interface LoadingOptions {
  readonly checkConfig: ConfigChecker | undefined
  readonly services: (context: ServiceContext) => readonly unknown[]
  readonly autoload: Readonly<Required<AutoloadOptions>>
  readonly loaders: PluginManager
}

/** The plugin's options, checked, defaulted and frozen. */
export interface ResolvedOptions extends LoadingOptions {
  readonly source: TenantSource
  /** What an id must be to be looked up. */
  readonly isId: IdCheck
  readonly strategy: TenantIdentificationStrategy
  /** Makes a strategy of whatever `identify` may be. */
  readonly toStrategy: (identify: Identify | readonly Identify[]) => TenantIdentificationStrategy
  /** Makes the strategy of a name. */
  readonly named: IdentificationContext['named']
  readonly defaultTenant: string | undefined
  readonly required: boolean
  readonly order: 'first' | 'registered'
  readonly maxActive: number
  /** ms; 0 = never */
  readonly idleTimeout: number
  readonly preload: boolean | readonly string[]
  /** 0 = no limit */
  readonly maxInFlight: number
  readonly maxLoading: number
  readonly maxWaiting: number
  readonly watch: boolean
  /** ms */
  readonly loadTimeout: number
  /** ms */
  readonly drainTimeout: number
}

/** The longest that a timer can wait, in ms: https://nodejs.org/api/timers.html#settimeoutcallback-delay-args */
const MAX_TIMEOUT = 2 ** 31 - 1

const NAMES = new Set([
  'tenants', 'identify', 'baseDomain', 'defaultTenant', 'required', 'order', 'maxActive', 'idleTimeout', 'preload', 'maxInFlight',
  'maxLoading', 'maxWaiting', 'watch', 'loadTimeout', 'drainTimeout', 'configSchema', 'services', 'autoload', 'loaders',
  'validateIds'
])

/**
 * The plugin's options as the rest of it reads them; the caller's object stays as it was.
 * @param prefix the prefix of the routes where the plugin was registered
 * @throws FST_TENANT_OPTION_INVALID which names the option
 */
export function resolveOptions (options: MultitenantOptions, prefix: string): ResolvedOptions {
  for (const name of Object.keys(options)) check(NAMES.has(name), name, `left out: the options are ${[...NAMES].join(', ')}`)
  const {
    tenants = './tenants', identify = 'header', baseDomain, defaultTenant, required = false, order = 'first',
    maxActive = 100, idleTimeout = 0, preload = false, maxInFlight = 0, maxLoading = 10, maxWaiting = 1_000, watch = false,
    loadTimeout = 10_000, drainTimeout = 30_000, configSchema, services = defaultServices, autoload = {}, loaders = {}, validateIds = true
  } = options

  check(typeof validateIds === 'boolean', 'validateIds', 'a boolean')
  const isId = validateIds ? isTenantId : isAnyId
  check(defaultTenant === undefined || isId(defaultTenant), 'defaultTenant', 'a tenant id')
  check(typeof required === 'boolean', 'required', 'a boolean')
  check(order === 'first' || order === 'registered', 'order', "'first' or 'registered'")
  check(isCount(maxActive) && maxActive > 0, 'maxActive', 'a whole number above 0')
  check(isTimeout(idleTimeout), 'idleTimeout', 'a number of ms')
  check(typeof preload === 'boolean' || (Array.isArray(preload) && preload.every(isId)), 'preload', 'a boolean or an array of tenant ids')
  check(isCount(maxInFlight), 'maxInFlight', 'a whole number')
  check(isCount(maxLoading) && maxLoading > 0, 'maxLoading', 'a whole number above 0')
  check(isCount(maxWaiting) && maxWaiting > 0, 'maxWaiting', 'a whole number above 0')
  check(typeof watch === 'boolean', 'watch', 'a boolean')
  check(isTimeout(loadTimeout) && loadTimeout > 0, 'loadTimeout', 'a number of ms above 0')
  check(isTimeout(drainTimeout), 'drainTimeout', 'a number of ms')
  check(configSchema === undefined || isObject(configSchema), 'configSchema', 'a JSON schema')
  check(typeof services === 'function', 'services', 'a function')
  check(isObject(autoload), 'autoload', 'an object')
  check(isObject(loaders), 'loaders', 'an object of plugin loading strategies by scheme, or a PluginManager')
  for (const [name, value] of Object.entries(autoload)) {
    check((name === 'plugins' || name === 'routes') && isObject(value), `autoload.${name}`, 'an object, and named plugins or routes')
  }

  return Object.freeze({
    source: resolveSource(tenants, isId),
    isId,
    strategy: resolveStrategy(identify, { baseDomain, prefix }),
    toStrategy: (later: Identify | readonly Identify[]) => resolveStrategy(later, { baseDomain: readsBaseDomain(later) ? baseDomain : undefined, prefix }),
    named: strategiesByName({ baseDomain, prefix }),
    defaultTenant,
    required,
    order,
    maxActive,
    idleTimeout,
    preload: typeof preload === 'boolean' ? preload : Object.freeze([...preload]),
    maxInFlight,
    maxLoading,
    maxWaiting,
    watch,
    loadTimeout,
    drainTimeout,
    checkConfig: configSchema === undefined ? undefined : createConfigChecker(configSchema),
    services,
    autoload: Object.freeze({ plugins: {}, routes: {}, ...autoload }),
    loaders: loaders instanceof PluginManager ? loaders : new PluginManager(loaders)
  })
}

function defaultServices ({ app, tenant }: ServiceContext): [unknown, TenantConfig] {
  return [(app as { db?: unknown }).db, tenant.config]
}

function check (condition: boolean, name: string, expected: string): void {
  if (!condition) throw new FST_TENANT_OPTION_INVALID(name, expected)
}

function isObject (value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isTimeout (value: unknown): boolean {
  return typeof value === 'number' && value >= 0 && value <= MAX_TIMEOUT
}

function isCount (value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0
}
