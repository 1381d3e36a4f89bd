import type { PluginLoadingStrategy } from '../lib/loading/strategies/strategy.ts'

/** Where a plugin is named as `scheme:reference`. */
export interface PluginContext {
  /** The absolute path of the tenant's folder, or of the server's project; `undefined` when the tenant has none. */
  readonly dir: string | undefined
}

/** Plugin loading strategies by scheme: lower case letters, digits, `+`, `-` and `.`, a letter first. */
export type PluginLoaders = Readonly<Record<string, PluginLoadingStrategy>>
