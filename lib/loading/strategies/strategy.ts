import type { FastifyInstance } from 'fastify'
import type * as types from '../../../types/index.ts'

/** The base class of plugin loading strategies. */
export abstract class PluginLoadingStrategy implements types.PluginLoadingStrategy {
  /** Loads the plugin that `reference` names, registers it in `app` and returns it. */
  abstract loadPlugin (app: FastifyInstance, reference: string, options: object, context: types.PluginContext): unknown
}
