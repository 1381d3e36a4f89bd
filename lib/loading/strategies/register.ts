import { unencapsulated } from '../plugin-function.ts'
import type { FastifyInstance } from 'fastify'
import type { ModuleExports } from '../modules/modules.ts'
import type { PluginFunction } from '../plugin-function.ts'

/**
 * Registers the default export of a module without encapsulation, like the plugins of the folder `plugins/`.
 * Throws the errors of the plugin.
 * @throws {Error} when the default export is not a plugin
 */
export async function registerDefault (app: FastifyInstance, module: ModuleExports, options: object): Promise<PluginFunction> {
  const plugin = module['default']
  if (typeof plugin !== 'function') throw new Error('The default export must be a plugin')
  await app.register(unencapsulated(plugin as PluginFunction), options)
  return plugin as PluginFunction
}
