import type { FastifyInstance } from 'fastify'

/** Where a plugin is named as `scheme:reference`. */
export interface PluginContext {
  /** The absolute path of the tenant's folder, or of the server's project; `undefined` when the tenant has no folder. */
  readonly dir: string | undefined
}

/** Loads the plugins that are named as `scheme:reference`, for one scheme. */
export interface PluginLoadingStrategy {
  /**
   * Gets the plugin that `reference` names, registers it in `app` and returns it. `options` are for the plugin: a tenant's
   * `{ tenant, config }`. An error keeps the tenant from being loaded, or the server from being started.
   */
  loadPlugin (app: FastifyInstance, reference: string, options: object, context: PluginContext): unknown
}

/** Plugin loading strategies by scheme: lower case letters, digits, `+`, `-` and `.`, a letter first. */
export type PluginLoaders = Readonly<Record<string, PluginLoadingStrategy>>

/** The plugin loading strategies of an app, by scheme. */
export interface PluginManager {
  /**
   * Makes this strategy load the plugins of the scheme, in place of the strategy that did.
   * @throws {FST_TENANT_OPTION_INVALID} when the scheme or the strategy is invalid
   */
  addStrategy (scheme: string, strategy: PluginLoadingStrategy): this
  /**
   * Loads the plugin that is named as `scheme:reference`, and returns it.
   * @throws {FST_TENANT_SCHEME_UNKNOWN}
   * @throws {FST_TENANT_PLUGIN_FAILED}
   */
  load (app: FastifyInstance, plugin: string, options: object, context: PluginContext): Promise<unknown>
}
