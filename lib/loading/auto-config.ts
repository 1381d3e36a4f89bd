import type { FastifyInstance, FastifyPluginOptions } from 'fastify'

type AutoConfig = FastifyPluginOptions | ((parent: FastifyInstance) => FastifyPluginOptions)

/** What a module says to autoload about the plugin it exports. */
export interface PluginSettings {
  autoConfig: AutoConfig | undefined
  /** Whether the prefix comes from elsewhere: `autoConfig` has no say in it. */
  prefixIsFinal: boolean
}

const kAutoConfigs = Symbol('fastify-multitenant.auto-configs')

/** A plugin that knows what each of the modules that export it has set as its `autoConfig`. */
type Plugin = Function & { autoConfig?: AutoConfig, prefixOverride?: string, [kAutoConfigs]?: WeakMap<object, AutoConfig | undefined> }

/**
 * Takes `autoConfig` off a plugin and remembers it. autoload would take it off too and forget it, and the module is evaluated only
 * once: the tenant would have no options when it is loaded again, nor another tenant that shares the folder. It is remembered per
 * module, since files of several tenants may set it on one and the same function of a library.
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

/** The options that autoload would have made, had it found `autoConfig` on the plugin: those it did make win. */
export function withAutoConfig ({ autoConfig, prefixIsFinal }: PluginSettings, made: AutoConfig): AutoConfig {
  // A function here comes from a named export `autoConfig`, which stays where it is.
  if (autoConfig === undefined || typeof made === 'function') return made
  const prefix = prefixIsFinal ? made['prefix'] : joinPrefix(Reflect.get(autoConfig, 'prefix'), made['prefix'])
  if (typeof autoConfig !== 'function') return { ...autoConfig, ...made, prefix }
  // Fastify reads the prefix off the function, before it calls it.
  return Object.assign((parent: FastifyInstance) => ({ ...autoConfig(parent), ...made, prefix }), { prefix })
}

function joinPrefix (own: string | undefined, folder: string | undefined): string {
  return (own ?? '').replace(/\/$/, '') + (folder ?? '')
}
