import { readConfig } from './config.ts'
import { TenantFolder } from './folder.ts'
import { displayName, readIndex } from './index-module.ts'
import { LoadProgress } from './load-progress.ts'
import { warnOfMisnamed } from './misnamed.ts'
import { unencapsulated } from './plugin-function.ts'
import { autoloadFolder, findPlugins } from './plugins.ts'
import { addSchemas } from './schemas.ts'
import { loadServices } from './services.ts'
import { fillIn, readStandard } from './standard-config.ts'
import type { FastifyInstance } from 'fastify'
import type { ConfigChecker } from './config-checker.ts'
import type { PluginFunction } from './plugin-function.ts'
import type { AutoloadOptions, PluginManager, ServiceContext, Tenant, TenantConfig, TenantDefinition, TenantPluginOptions } from '../../types/index.ts'

/** The plugin's options that loading a tenant reads. */
export interface LoadingOptions {
  readonly checkConfig: ConfigChecker | undefined
  readonly services: (context: ServiceContext) => readonly unknown[]
  readonly autoload: Readonly<Required<AutoloadOptions>>
  readonly loaders: PluginManager
}

/** What plugins decorate is there for the tenant's routes. A prefix is of no use without encapsulation. */
const NOT_ENCAPSULATED = { encapsulate: false, dirNameRoutePrefix: false }

/** What a tenant is introduced with, before its own code runs. */
export interface TenantContents {
  name: string
  config: TenantConfig
  /** Filled while the tenant is loaded. */
  services: ReadonlyMap<string, unknown>
}

/**
 * Fills a tenant's scope from its definition: config, schemas, index plugin, the plugins that the config names, plugins,
 * services, routes, in this order.
 * `scope` is the tenant's own Fastify instance, while its plugin function runs. `introduce` is called once, when config and name
 * are known. `progress` follows which file the load is at.
 * Throws InactiveTenantError, FST_TENANT_CONFIG_INVALID, FST_TENANT_SCHEME_UNKNOWN, FST_TENANT_PLUGIN_FAILED, or an Error that names
 * the file relative to the tenant's folder.
 */
export async function loadTenant (
  scope: FastifyInstance,
  definition: TenantDefinition,
  options: LoadingOptions,
  introduce: (contents: TenantContents) => Tenant,
  progress = new LoadProgress()
): Promise<void> {
  const folder = definition.dir === undefined ? null : await TenantFolder.open(definition.dir, progress)
  const { id, dir } = definition
  const [config, found] = await Promise.all([readConfig(scope, definition, folder, options.checkConfig), findAll(scope, folder, options.autoload)])
  const plugins = readStandard(id, config)
  const index = folder === null ? null : await readIndex(folder)
  const services = new Map<string, unknown>()
  const name = definition.name ?? displayName(id, index, config)
  fillIn(config, { id, name })
  const tenant = introduce({ name, config, services })
  const given: TenantPluginOptions = { tenant, config }

  if (folder !== null) warnOfMisnamed(scope.log, folder, index !== null)
  if (folder !== null) await addSchemas(scope, folder)
  if (folder !== null && index !== null) await folder.inFile(index.file, () => register(scope, index.plugin, given))
  await progress.track("the tenant's own plugin", () => register(scope, definition.plugin as PluginFunction | undefined, given))
  for (const plugin of plugins) await progress.track(plugin, () => options.loaders.load(scope, plugin, given, { dir }))
  if (folder !== null) await loadFolders(scope, folder, found, options, given, services)
}

/** What is in the folders that are autoloaded. */
interface Found { plugins: string[], routes: string[] }

async function findAll (scope: FastifyInstance, folder: TenantFolder | null, settings: LoadingOptions['autoload']): Promise<Found> {
  if (folder === null) return { plugins: [], routes: [] }
  const names = ['plugins', 'routes'] as const
  const [plugins, routes] = await Promise.all(names.map(name => findPlugins(scope, folder, name, settings[name])))
  return { plugins, routes } as Found
}

/** Each may use what those before it made: services the plugins' decorators, routes both. */
async function loadFolders (
  scope: FastifyInstance,
  folder: TenantFolder,
  found: Found,
  { autoload, services: makeArgs }: LoadingOptions,
  given: TenantPluginOptions,
  services: Map<string, unknown>
): Promise<void> {
  const { plugins, routes } = autoload
  await autoloadFolder(scope, folder, 'plugins', found.plugins, { ...NOT_ENCAPSULATED, ...plugins, options: { ...plugins.options, ...given } })
  await loadServices(scope.log, folder, services, () => makeArgs({ app: scope, tenant: given.tenant }))
  await autoloadFolder(scope, folder, 'routes', found.routes, { autoHooks: true, ...routes, options: { ...routes.options, ...given } })
}

async function register (scope: FastifyInstance, plugin: PluginFunction | undefined, options: TenantPluginOptions): Promise<void> {
  if (plugin !== undefined) await scope.register(unencapsulated(plugin), options)
}
