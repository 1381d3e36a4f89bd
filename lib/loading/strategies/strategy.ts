import type { FastifyInstance } from 'fastify'
import type { PluginContext } from '../../../types/index.ts'

/** Loads the plugins that are named as `scheme:reference`, for one scheme: the part of loading that a user may replace. */
export abstract class PluginLoadingStrategy {
  /**
   * Gets the plugin that `reference` names, registers it in `app` and answers with it. `options` are for the plugin: a tenant's
   * `{ tenant, config }`. What it throws keeps the tenant from being loaded, or the server from being started.
   */
  abstract loadPlugin (app: FastifyInstance, reference: string, options: object, context: PluginContext): unknown
}
