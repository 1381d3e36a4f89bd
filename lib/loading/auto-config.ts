import type { FastifyInstance, FastifyPluginOptions } from 'fastify'

type AutoConfig = FastifyPluginOptions | ((parent: FastifyInstance) => FastifyPluginOptions)

/** The settings of an exported plugin that @fastify/autoload reads. */
export interface PluginSettings {
  autoConfig: AutoConfig | undefined
  /** Whether another setting decides the prefix. The prefix of `autoConfig` is ignored then. */
  prefixIsFinal: boolean
}

const kAutoConfigs = Symbol('fastify-multitenant.auto-configs')

/** A plugin with the `autoConfig` that each module exporting it has set. */
type Plugin = Function & { autoConfig?: AutoConfig, prefixOverride?: string, [kAutoConfigs]?: WeakMap<object, AutoConfig | undefined> }

/**
 * Removes `autoConfig` from a plugin and remembers it. autoload would remove it for good, and Node evaluates the module only once, so
 * later loads and other tenants of the folder would get no options. The value is stored per module, because the files of several
 * tenants may set it on the same library function.
 */
export function takeSettings (module: Readonly<Record<string, unknown>>, exported: unknown): PluginSettings {
  if (typeof exported !== 'function') return { autoConfig: undefined, prefixIsFinal: true }
  const plugin = exported as Plugin
  const known = autoConfigsOf(plugin)
  if (!known.has(module)) {
    known.set(module, plugin.autoConfig)
    if (plugin.autoConfig !== undefined) plugin.autoConfig = undefined as never
  }
  return { autoConfig: known.get(module), prefixIsFinal: (plugin.prefixOverride ?? module['prefixOverride']) !== undefined }
}

function autoConfigsOf (plugin: Plugin): WeakMap<object, AutoConfig | undefined> {
  const known = plugin[kAutoConfigs] ?? new WeakMap()
  if (plugin[kAutoConfigs] === undefined) Object.defineProperty(plugin, kAutoConfigs, { value: known })
  return known
}

/** Merges `autoConfig` into the options from autoload, as autoload does. The latter win. */
export function withAutoConfig ({ autoConfig, prefixIsFinal }: PluginSettings, options: AutoConfig): AutoConfig {
  // Options that are a function come from a named export `autoConfig`, which was not removed.
  if (autoConfig === undefined || typeof options === 'function') return options
  const prefix = prefixIsFinal ? options['prefix'] : joinPrefix(Reflect.get(autoConfig, 'prefix'), options['prefix'])
  if (typeof autoConfig !== 'function') return { ...autoConfig, ...options, prefix }
  // Fastify reads the prefix from the function before it calls it.
  return Object.assign((parent: FastifyInstance) => ({ ...autoConfig(parent), ...options, prefix }), { prefix })
}

function joinPrefix (own: string | undefined, folder: string | undefined): string {
  return (own ?? '').replace(/\/$/, '') + (folder ?? '')
}
