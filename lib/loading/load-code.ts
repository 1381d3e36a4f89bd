import { unencapsulated } from './plugin-function.ts'
import { autoloadFolder, findPlugins } from './plugins.ts'
import { addSchemas } from './schemas.ts'
import type { FastifyInstance } from 'fastify'
import type { ConfigChecker } from './config-checker.ts'
import type { TenantFolder } from './folder.ts'
import type { IndexModule } from './index-module.ts'
import type { LoadProgress } from './load-progress.ts'
import type { PluginFunction } from './plugin-function.ts'
import type { AutoloadOptions, PluginManager, ServiceContext } from '../../types/index.ts'

/** The plugin options that loading uses. */
export interface LoadingOptions {
  readonly checkConfig: ConfigChecker | undefined
  readonly services: (context: ServiceContext) => readonly unknown[]
  readonly autoload: Readonly<Required<AutoloadOptions>>
  readonly loaders: PluginManager
}

/** The code of a tenant or of a template. */
export interface Code {
  /** `null` if there is none. */
  readonly folder: TenantFolder | null
  readonly index: IndexModule | null
  /** The plugin of the definition. */
  readonly plugin: unknown
  /** The plugins that the config names. */
  readonly plugins: readonly string[]
  readonly progress: LoadProgress
}

/** Without encapsulation, routes see the decorators of the plugins. Such a plugin cannot have a prefix. */
const NOT_ENCAPSULATED = { encapsulate: false, dirNameRoutePrefix: false }

/**
 * Registers code in its scope: schemas, index plugin, the plugins that the config names, plugins, services, routes, in this order. Services use
 * the plugins' decorators, and routes use both.
 * @param scope the Fastify instance of the tenant or the template, while its plugin function runs
 * @param pluginOptions the options of each plugin
 * @param loadServices called when the plugins are registered
 * @throws {FST_TENANT_SCHEME_UNKNOWN}
 * @throws {FST_TENANT_PLUGIN_FAILED}
 * @throws {Error} naming the file, relative to its folder
 */
export async function loadCode (scope: FastifyInstance, code: Code, pluginOptions: object, { autoload, loaders }: LoadingOptions, loadServices: () => Promise<void>): Promise<void> {
  const { folder, index, plugin, plugins, progress } = code
  const found = await findAll(scope, folder, autoload)
  if (folder !== null) await addSchemas(scope, folder)
  if (folder !== null && index !== null) await folder.inFile(index.file, () => register(scope, index.plugin, pluginOptions))
  await progress.track('the plugin of the definition', () => register(scope, plugin as PluginFunction | undefined, pluginOptions))
  for (const plugin of plugins) await progress.track(plugin, () => loaders.load(scope, plugin, pluginOptions, { dir: folder?.dir }))
  if (folder !== null) await autoloadFolder(scope, folder, 'plugins', found.plugins, { ...NOT_ENCAPSULATED, ...autoload.plugins, options: { ...autoload.plugins.options, ...pluginOptions } })
  await loadServices()
  if (folder !== null) await autoloadFolder(scope, folder, 'routes', found.routes, { autoHooks: true, ...autoload.routes, options: { ...autoload.routes.options, ...pluginOptions } })
}

/** The files in the autoloaded folders. */
interface Found { plugins: string[], routes: string[] }

async function findAll (scope: FastifyInstance, folder: TenantFolder | null, settings: LoadingOptions['autoload']): Promise<Found> {
  if (folder === null) return { plugins: [], routes: [] }
  const names = ['plugins', 'routes'] as const
  const [plugins, routes] = await Promise.all(names.map(name => findPlugins(scope, folder, name, settings[name])))
  return { plugins, routes } as Found
}

async function register (scope: FastifyInstance, plugin: PluginFunction | undefined, options: object): Promise<void> {
  if (plugin !== undefined) await scope.register(unencapsulated(plugin), options)
}
