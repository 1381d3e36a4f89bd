import { readConfig } from './config.ts'
import { TenantFolder } from './folder.ts'
import { displayName, readIndex } from './index-module.ts'
import { LoadProgress } from './load-progress.ts'
import { warnOfMisnamedEntries } from './misnamed-entries.ts'
import { unencapsulated } from './plugin-function.ts'
import { autoloadFolder, findPlugins } from './plugins.ts'
import { addSchemas } from './schemas.ts'
import { loadServices } from './services.ts'
import { addDefaults, readStandardKeys } from './standard-config.ts'
import type { FastifyInstance } from 'fastify'
import type { ConfigChecker } from './config-checker.ts'
import type { PluginFunction } from './plugin-function.ts'
import type { AutoloadOptions, PluginManager, ServiceContext, Tenant, TenantConfig, TenantDefinition, TenantPluginOptions } from '../../types/index.ts'

/** The plugin options that loading a tenant uses. */
export interface LoadingOptions {
  readonly checkConfig: ConfigChecker | undefined
  readonly services: (context: ServiceContext) => readonly unknown[]
  readonly autoload: Readonly<Required<AutoloadOptions>>
  readonly loaders: PluginManager
}

/** Without encapsulation, the tenant's routes see the decorators of its plugins. Such a plugin cannot have a prefix. */
const NOT_ENCAPSULATED = { encapsulate: false, dirNameRoutePrefix: false }

/** The name, config and services of a tenant, known before its own code runs. */
export interface TenantContents {
  name: string
  config: TenantConfig
  /** Filled while the tenant is loaded. */
  services: ReadonlyMap<string, unknown>
}

/**
 * Fills a tenant's scope from its definition: config, schemas, index plugin, the plugins that the config names, plugins,
 * services, routes, in this order.
 * `scope` is the tenant's own Fastify instance, while its plugin function runs. `makeTenant` is called once, when the config and the
 * name are known. `progress` tracks the files that the load is working on.
 * @throws {InactiveTenantError}
 * @throws {FST_TENANT_CONFIG_INVALID}
 * @throws {FST_TENANT_SCHEME_UNKNOWN}
 * @throws {FST_TENANT_PLUGIN_FAILED}
 * @throws {Error} naming the file, relative to the tenant's folder
 */
export async function loadTenant (
  scope: FastifyInstance,
  definition: TenantDefinition,
  options: LoadingOptions,
  makeTenant: (contents: TenantContents) => Tenant,
  progress = new LoadProgress()
): Promise<void> {
  const folder = definition.dir === undefined ? null : await TenantFolder.open(definition.dir, progress)
  const { id, dir } = definition
  const [config, found] = await Promise.all([readConfig(scope, definition, folder, options.checkConfig), findAll(scope, folder, options.autoload)])
  const plugins = readStandardKeys(id, config)
  const index = folder === null ? null : await readIndex(folder)
  const services = new Map<string, unknown>()
  const name = definition.name ?? displayName(id, index, config)
  addDefaults(config, { id, name })
  const tenant = makeTenant({ name, config, services })
  const pluginOptions: TenantPluginOptions = { tenant, config }

  if (folder !== null) warnOfMisnamedEntries(scope.log, folder, index !== null)
  if (folder !== null) await addSchemas(scope, folder)
  if (folder !== null && index !== null) await folder.inFile(index.file, () => register(scope, index.plugin, pluginOptions))
  await progress.track("the tenant's own plugin", () => register(scope, definition.plugin as PluginFunction | undefined, pluginOptions))
  for (const plugin of plugins) await progress.track(plugin, () => options.loaders.load(scope, plugin, pluginOptions, { dir }))
  if (folder !== null) await loadFolders(scope, folder, found, options, pluginOptions, services)
}

/** The files in the autoloaded folders. */
interface Found { plugins: string[], routes: string[] }

async function findAll (scope: FastifyInstance, folder: TenantFolder | null, settings: LoadingOptions['autoload']): Promise<Found> {
  if (folder === null) return { plugins: [], routes: [] }
  const names = ['plugins', 'routes'] as const
  const [plugins, routes] = await Promise.all(names.map(name => findPlugins(scope, folder, name, settings[name])))
  return { plugins, routes } as Found
}

/** Loads plugins, services and routes in this order: services use the plugins' decorators, and routes use both. */
async function loadFolders (
  scope: FastifyInstance,
  folder: TenantFolder,
  found: Found,
  { autoload, services: makeArgs }: LoadingOptions,
  pluginOptions: TenantPluginOptions,
  services: Map<string, unknown>
): Promise<void> {
  const { plugins, routes } = autoload
  await autoloadFolder(scope, folder, 'plugins', found.plugins, { ...NOT_ENCAPSULATED, ...plugins, options: { ...plugins.options, ...pluginOptions } })
  await loadServices(scope.log, folder, services, () => makeArgs({ app: scope, tenant: pluginOptions.tenant }))
  await autoloadFolder(scope, folder, 'routes', found.routes, { autoHooks: true, ...routes, options: { ...routes.options, ...pluginOptions } })
}

async function register (scope: FastifyInstance, plugin: PluginFunction | undefined, options: TenantPluginOptions): Promise<void> {
  if (plugin !== undefined) await scope.register(unencapsulated(plugin), options)
}
