import type { FastifyInstance } from 'fastify'

/** Tells a strategy where a plugin was named as `scheme:reference`. */
export interface PluginContext {
  /** The absolute path of the tenant's folder, or of the server's project. `undefined` if the tenant has no folder. */
  readonly dir: string | undefined
}

/** Loads the plugins of one scheme, which are named as `scheme:reference`. */
export interface PluginLoadingStrategy {
  /**
   * Gets the plugin that `reference` names, registers it in `app` with `options`, and returns it. For a tenant, `options` are
   * `{ tenant, config }`. After an error the tenant is not loaded, or the server is not started.
   */
  loadPlugin (app: FastifyInstance, reference: string, options: object, context: PluginContext): unknown
}

/** Plugin loading strategies by scheme: lower case letters, digits, `+`, `-` and `.`, starting with a letter. */
export type PluginLoaders = Readonly<Record<string, PluginLoadingStrategy>>

/** The plugin loading strategies of an app, by scheme. */
export interface PluginManager {
  /**
   * Adds a strategy for a scheme. Replaces the strategy that the scheme had.
   * @throws {FST_TENANT_OPTION_INVALID} when the scheme or the strategy is invalid
   */
  addStrategy (scheme: string, strategy: PluginLoadingStrategy): this
  /**
   * Loads a plugin that is named as `scheme:reference`, and returns it.
   * @throws {FST_TENANT_SCHEME_UNKNOWN} when the scheme has no strategy
   * @throws {FST_TENANT_PLUGIN_FAILED} when the strategy fails
   */
  load (app: FastifyInstance, plugin: string, options: object, context: PluginContext): Promise<unknown>
}
