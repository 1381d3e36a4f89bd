import { check, checkKeys, isBoolean, isCount, isObject, isTimeout, isWhole } from './utils/check.ts'
import { readsBaseDomain, resolveStrategy, strategyByName } from './identification/resolve-strategy.ts'
import { isAnyId, isTenantId } from './utils/tenant-id.ts'
import { createConfigChecker } from './loading/config-checker.ts'
import { pluginManagerOf } from './loading/plugin-manager.ts'
import { resolveSource } from './sources/resolve.ts'
import { resolveTemplates } from './sources/templates.ts'
import type { IdentificationContext, Identify, MultitenantOptions, ServiceContext, TenantConfig, TenantSource } from '../types/index.ts'
import type { TenantIdentificationStrategy } from './identification/strategy.ts'
import type { IdCheck } from './utils/tenant-id.ts'
import type { LoadingOptions } from './loading/load-code.ts'
import type { TemplateSource } from './sources/templates.ts'

/** The plugin's options with defaults, validated and frozen. */
export interface ResolvedOptions extends LoadingOptions {
  readonly source: TenantSource
  /** Returns whether a value may be a tenant id. */
  readonly isId: IdCheck
  readonly strategy: TenantIdentificationStrategy
  /** Creates the strategy for a value of `identify`. */
  readonly toStrategy: (identify: Identify | readonly Identify[]) => TenantIdentificationStrategy
  /** Returns the built-in strategy of a name. */
  readonly named: IdentificationContext['named']
  readonly defaultTenant: string | undefined
  readonly required: boolean
  readonly order: 'first' | 'registered'
  readonly templates: TemplateSource
  readonly maxActive: number
  readonly maxResident: number
  /** In ms; 0 = never. */
  readonly idleTimeout: number
  readonly preload: boolean | readonly string[]
  /** 0 = no limit. */
  readonly maxInFlight: number
  readonly maxLoading: number
  readonly maxWaiting: number
  readonly watch: boolean
  /** In ms. */
  readonly loadTimeout: number
  /** In ms. */
  readonly drainTimeout: number
}

/** A validator, and the end of the error message "The option must be …". */
type Rule = readonly [isValid: (value: unknown) => boolean, expected: string]

const COUNT: Rule = [isCount, 'a whole number above 0']
const WHOLE: Rule = [isWhole, 'a whole number']
const BOOLEAN: Rule = [isBoolean, 'a boolean']
const MS: Rule = [isTimeout, 'a number of ms']

/** The rules for options that are given. Options with `null` are validated by the code that resolves them. */
const RULES: Readonly<Record<keyof MultitenantOptions, Rule | null>> = {
  tenants: null,
  identify: null,
  baseDomain: null,
  defaultTenant: null,
  required: BOOLEAN,
  order: [value => value === 'first' || value === 'registered', "'first' or 'registered'"],
  templates: null,
  maxActive: COUNT,
  maxResident: COUNT,
  idleTimeout: MS,
  preload: null,
  maxInFlight: WHOLE,
  maxLoading: COUNT,
  maxWaiting: COUNT,
  watch: BOOLEAN,
  loadTimeout: [value => isTimeout(value) && value > 0, 'a number of ms above 0'],
  drainTimeout: MS,
  configSchema: [isObject, 'a JSON schema'],
  services: [value => typeof value === 'function', 'a function'],
  autoload: [isObject, 'an object'],
  loaders: [isObject, 'an object of plugin loading strategies by scheme, or a PluginManager'],
  validateIds: BOOLEAN
}

/** The names of the plugin's options. */
export const OPTION_NAMES: readonly string[] = Object.keys(RULES)

/**
 * Validates the plugin's options and adds defaults. Does not change the given object.
 * @param prefix the prefix of the routes where the plugin was registered
 * @throws {FST_TENANT_OPTION_INVALID} when an option is invalid; the message names it
 * @throws {FST_TENANT_HOSTS_INVALID} when a host of an object of tenants is invalid, or belongs to two tenants
 */
export function resolveOptions (options: MultitenantOptions, prefix: string): ResolvedOptions {
  checkOptions(options)
  const {
    tenants = './tenants', identify = 'header', baseDomain, defaultTenant, required = false, order = 'first',
    templates = './templates', maxActive = 100, maxResident = 10_000, idleTimeout = 0, preload = false, maxInFlight = 0, maxLoading = 10, maxWaiting = 1_000, watch = false,
    loadTimeout = 10_000, drainTimeout = 30_000, configSchema, services = defaultServices, autoload = {}, loaders = {}, validateIds = true
  } = options
  const isId = validateIds ? isTenantId : isAnyId
  checkIds(defaultTenant, preload, isId)

  return Object.freeze({
    source: resolveSource(tenants, isId),
    isId,
    strategy: resolveStrategy(identify, { baseDomain, prefix }),
    toStrategy: (later: Identify | readonly Identify[]) => resolveStrategy(later, { baseDomain: readsBaseDomain(later) ? baseDomain : undefined, prefix }),
    named: strategyByName({ baseDomain, prefix }),
    defaultTenant,
    required,
    order,
    templates: resolveTemplates(templates),
    maxActive,
    maxResident,
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
    loaders: pluginManagerOf(loaders)
  })
}

function checkOptions (options: MultitenantOptions): void {
  checkKeys(options, OPTION_NAMES)
  for (const [name, rule] of Object.entries(RULES)) {
    const value: unknown = Reflect.get(options, name)
    if (value !== undefined && rule !== null) check(rule[0](value), name, rule[1], value)
  }
  const { autoload = {} } = options
  checkKeys(autoload, ['plugins', 'routes'], 'autoload')
  for (const [name, value] of Object.entries(autoload)) check(isObject(value), `autoload.${name}`, 'an object', value)
}

/** Checks the options that hold tenant ids. */
function checkIds (defaultTenant: unknown, preload: unknown, isId: IdCheck): void {
  check(defaultTenant === undefined || isId(defaultTenant), 'defaultTenant', 'a tenant id', defaultTenant)
  check(isBoolean(preload) || (Array.isArray(preload) && preload.every(isId)), 'preload', 'a boolean or an array of tenant ids', preload)
}

function defaultServices ({ app, tenant }: ServiceContext): [unknown, TenantConfig] {
  return [(app as { db?: unknown }).db, tenant.config]
}
