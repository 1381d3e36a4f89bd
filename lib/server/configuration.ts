import { resolve } from 'node:path'
import { check, checkKeys, isBoolean, isCount, isObject, isText, isTexts, isTimeout } from '../utils/check.ts'
import { FST_TENANT_OPTION_INVALID } from '../errors.ts'
import { OPTION_NAMES, resolveOptions } from '../options.ts'
import { readEnvironment } from './environment.ts'
import { LOG_LEVELS } from './log-levels.ts'
import type { ResolvedServerConfig, ServerConfig } from '../../types/index.ts'
import type { Environment } from './environment.ts'

/** A server's configuration. The given config wins over the environment, the environment over `.env`, and `.env` over the defaults. */
export class ConfigurationManager {
  readonly #config: ResolvedServerConfig

  /**
   * @throws {FST_TENANT_OPTION_INVALID} when a key of `config` is invalid
   * @throws {FST_TENANT_CONFIG_INVALID} when a variable of the environment is invalid
   */
  constructor (config: ServerConfig = {}) {
    check(isObject(config), 'config', 'an object', config)
    checkKeys(config, ['root', 'server', 'security', 'tenants', 'plugins', 'fastify', 'multitenant'])
    const { root = process.cwd(), fastify = {}, multitenant = {} } = config
    check(isText(root), 'root', 'the path of a folder', root)
    check(isObject(fastify), 'fastify', 'an object of options for Fastify', fastify)
    const env = readEnvironment(resolve(root))
    const maxConcurrent = resolveMaxConcurrent(config, env)
    this.#config = Object.freeze({
      root: resolve(root),
      server: resolveServer(config.server, env),
      security: resolveSecurity(config.security, maxConcurrent),
      tenants: resolveTenants(config.tenants, maxConcurrent, env),
      plugins: resolvePlugins(config.plugins, env),
      fastify: Object.freeze({ ...fastify }),
      multitenant: Object.freeze({ ...section('multitenant', multitenant, PLUGIN_OPTIONS) })
    })
    // The plugin checks its options too, but only after the core plugins have opened their connections.
    resolveOptions({ ...multitenant, validateIds: this.#config.security.validateInputs }, '')
  }

  /**
   * Returns the frozen configuration, or one section of it.
   * @throws {FST_TENANT_OPTION_INVALID} when there is no such section
   */
  get (): ResolvedServerConfig
  get<Name extends keyof ResolvedServerConfig> (name: Name): ResolvedServerConfig[Name]
  get (name?: keyof ResolvedServerConfig): unknown {
    if (name === undefined) return this.#config
    checkKeys({ [String(name)]: true }, Object.keys(this.#config))
    return this.#config[name]
  }
}

/** The plugin options that the server sets itself. */
const SERVER_OPTIONS = ['tenants', 'maxActive', 'loaders', 'validateIds']
const PLUGIN_OPTIONS = OPTION_NAMES.filter(name => !SERVER_OPTIONS.includes(name))

/**
 * Returns a section of the config; `{}` when it is missing.
 * @throws {FST_TENANT_OPTION_INVALID} when it is not an object or has an unknown key
 */
function section<Section extends object> (name: string, value: Section | undefined, keys: readonly string[]): Section {
  const given: unknown = value ?? {}
  check(value === undefined || isObject(value), name, 'an object', value)
  checkKeys(given as object, keys, name)
  return given as Section
}

function resolveServer (given: ServerConfig['server'], env: Environment): ResolvedServerConfig['server'] {
  const {
    port = env.PORT ?? 3000, host = env.HOST ?? 'localhost', logLevel = env.LOG_LEVEL ?? 'info', closeTimeout = 35_000
  } = section('server', given, ['port', 'host', 'logLevel', 'closeTimeout'])
  check(Number.isInteger(port) && port >= 0 && port <= 65_535, 'server.port', 'a whole number from 0 to 65535', port)
  check(isText(host), 'server.host', 'the name or the address of a host', host)
  check(LOG_LEVELS.includes(logLevel), 'server.logLevel', `one of ${LOG_LEVELS.join(', ')}`, logLevel)
  check(isCount(closeTimeout) && isTimeout(closeTimeout), 'server.closeTimeout', 'a whole number of ms above 0', closeTimeout)
  return Object.freeze({ port, host, logLevel, closeTimeout })
}

function resolveSecurity (given: ServerConfig['security'], maxConcurrentTenants: number): ResolvedServerConfig['security'] {
  const { validateInputs = true } = section('security', given, ['maxConcurrentTenants', 'validateInputs'])
  check(isBoolean(validateInputs), 'security.validateInputs', 'a boolean', validateInputs)
  return Object.freeze({ maxConcurrentTenants, validateInputs })
}

function resolveTenants (given: ServerConfig['tenants'], maxConcurrent: number, env: Environment): ResolvedServerConfig['tenants'] {
  const { path = env.TENANTS_PATH ?? 'src/tenants', npmPattern } = section('tenants', given, ['path', 'maxConcurrent', 'npmPattern'])
  check(isText(path), 'tenants.path', 'the path of a folder', path)
  check(npmPattern === undefined || isText(npmPattern), 'tenants.npmPattern', 'a glob', npmPattern)
  return Object.freeze({ path, maxConcurrent, npmPattern })
}

function resolvePlugins (given: ServerConfig['plugins'], env: Environment): ResolvedServerConfig['plugins'] {
  const { path = env.PLUGINS_PATH ?? 'src/plugins', coreOrder = [], npmPattern, load = [] } = section('plugins', given, ['path', 'coreOrder', 'npmPattern', 'load'])
  check(isText(path), 'plugins.path', 'the path of a folder', path)
  check(isTexts(coreOrder), 'plugins.coreOrder', 'an array of the names of core plugins', coreOrder)
  check(npmPattern === undefined || isText(npmPattern), 'plugins.npmPattern', 'a glob', npmPattern)
  check(isTexts(load), 'plugins.load', 'an array of plugins, each named as "scheme:reference"', load)
  return Object.freeze({ path, coreOrder: Object.freeze([...coreOrder]), npmPattern, load: Object.freeze([...load]) })
}

/** `security.maxConcurrentTenants` and `tenants.maxConcurrent` are one setting and must agree. */
function resolveMaxConcurrent ({ security, tenants }: ServerConfig, env: Environment): number {
  const one = security?.maxConcurrentTenants
  const other = tenants?.maxConcurrent
  for (const [name, value] of [['security.maxConcurrentTenants', one], ['tenants.maxConcurrent', other]] as const) {
    check(value === undefined || isCount(value), name, 'a whole number above 0', value)
  }
  if (one !== undefined && other !== undefined && one !== other) {
    throw new FST_TENANT_OPTION_INVALID('tenants.maxConcurrent', `the same as security.maxConcurrentTenants, which is ${one}: they are one setting`)
  }
  return one ?? other ?? env.MAX_CONCURRENT_TENANTS ?? 100
}
