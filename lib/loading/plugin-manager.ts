import { check, isObject, isText } from '../utils/check.ts'
import { FST_TENANT_OPTION_INVALID, FST_TENANT_PLUGIN_FAILED, FST_TENANT_SCHEME_UNKNOWN } from '../errors.ts'
import { reasonOf } from './file-error.ts'
import { FileStrategy } from './strategies/file.ts'
import { NpmStrategy } from './strategies/npm.ts'
import type { FastifyInstance } from 'fastify'
import type * as types from '../../types/index.ts'
import type { PluginContext, PluginLoaders, PluginLoadingStrategy } from '../../types/index.ts'

const SCHEME = /^[a-z][a-z0-9+.-]*$/
const PLUGIN = /^([a-z][a-z0-9+.-]*):(.+)$/s

/** The plugin loading strategies by scheme. `file` and `npm` are built in. */
export class PluginManager implements types.PluginManager {
  readonly #strategies = new Map<string, PluginLoadingStrategy>()

  /** @throws {FST_TENANT_OPTION_INVALID} when a scheme or a strategy is invalid */
  constructor (loaders: PluginLoaders = {}) {
    const all = { file: new FileStrategy(), npm: new NpmStrategy(), ...loaders }
    for (const [scheme, strategy] of Object.entries(all)) this.addStrategy(scheme, strategy)
  }

  /**
   * Sets the strategy that loads the plugins of a scheme. It replaces the previous one.
   * @throws {FST_TENANT_OPTION_INVALID} when the scheme or the strategy is invalid
   */
  addStrategy (scheme: string, strategy: PluginLoadingStrategy): this {
    check(isText(scheme) && SCHEME.test(scheme), 'scheme', 'lower case letters, digits, "+", "-" and ".", a letter first', scheme)
    if (!isStrategy(strategy)) throw new FST_TENANT_OPTION_INVALID(`loaders.${scheme}`, expected(strategy))
    this.#strategies.set(scheme, strategy)
    return this
  }

  /**
   * Loads the plugin named `scheme:reference` and returns it.
   * @throws {FST_TENANT_SCHEME_UNKNOWN}
   * @throws {FST_TENANT_PLUGIN_FAILED}
   */
  async load (app: FastifyInstance, plugin: string, options: object, context: PluginContext): Promise<unknown> {
    const [, scheme = '', reference = ''] = PLUGIN.exec(plugin) ?? []
    const strategy = this.#strategies.get(scheme)
    if (strategy === undefined) throw new FST_TENANT_SCHEME_UNKNOWN(plugin, [...this.#strategies.keys()].join(', '))
    try {
      const loaded = await strategy.loadPlugin(app, reference, options, context)
      // A strategy may have registered the plugin without waiting for it.
      await app.after()
      return loaded
    } catch (cause) {
      throw new FST_TENANT_PLUGIN_FAILED(plugin, reasonOf(cause), { cause })
    }
  }
}

/** Returns the option `loaders` if it is a plugin manager, or makes one from its strategies. */
export function pluginManagerOf (loaders: PluginLoaders | types.PluginManager): types.PluginManager {
  return isPluginManager(loaders) ? loaders : new PluginManager(loaders)
}

function isPluginManager (loaders: object): loaders is types.PluginManager {
  return loaders instanceof PluginManager
}

function isStrategy (value: unknown): value is PluginLoadingStrategy {
  return isObject(value) && typeof value['loadPlugin'] === 'function'
}

function expected (value: unknown): string {
  if (typeof value === 'function') return `an instance: new ${value.name}(…), not the class`
  const { name = 'it' } = (value as object | null | undefined)?.constructor ?? {}
  return `a plugin loading strategy: ${name} has no method loadPlugin`
}
