import { readdir } from 'node:fs/promises'
import { resolve } from 'node:path'
import fp from 'fastify-plugin'
import { FST_TENANT_PLUGIN_FAILED } from '../errors.ts'
import { TenantFolder } from '../loading/folder.ts'
import { matchingPackages } from '../sources/packages.ts'
import { autoloadFolder, findPlugins, readMetas } from '../loading/plugins.ts'
import { noSuchFile } from '../utils/no-such-file.ts'
import { inDependencyOrder } from './core-plugin-order.ts'
import type { FastifyInstance } from 'fastify'
import type { LoadProgress } from '../loading/load-progress.ts'
import type { PluginManager } from '../loading/plugin-manager.ts'
import type { CorePlugin } from './core-plugin-order.ts'
import type { ResolvedServerConfig } from '../../types/index.ts'

/** The options of the plugin that loads the core plugins. */
export interface CorePluginsOptions {
  config: ResolvedServerConfig
  pluginManager: PluginManager
  progress: LoadProgress
}

/** A folder of core plugins and the files to load from it. */
interface FoundPlugin extends CorePlugin { files: string[] }

/** A folder holds one plugin or several files of plugins. Its sub-folders are not searched: they hold the plugins' own code. */
const AUTOLOAD = { encapsulate: false, dirNameRoutePrefix: false, maxDepth: 0 }

/**
 * Loads the plugins that all tenants share: the folders of `plugins.path`, then the packages that match `plugins.npmPattern`, then
 * `plugins.load`. The folders of `coreOrder` come first, but each folder comes after its `dependencies` (see `fastify-plugin`).
 * Plugins load one after the other, so each sees the decorators of earlier ones.
 * @throws {FST_TENANT_PLUGIN_FAILED}
 * @throws {FST_TENANT_SCHEME_UNKNOWN}
 * @throws {FST_TENANT_PACKAGE_INVALID}
 */
async function loadCorePlugins (app: FastifyInstance, { config, pluginManager, progress }: CorePluginsOptions): Promise<void> {
  const { root, plugins: { path, coreOrder, npmPattern, load } } = config
  const dir = resolve(root, path)
  const folders = await readFolders(dir, app)
  for (const name of coreOrder) {
    if (!folders.includes(name)) app.log.warn({ plugin: name, dir }, 'coreOrder names a core plugin without a folder')
  }
  const first = coreOrder.filter(name => folders.includes(name))
  const found: FoundPlugin[] = []
  for (const name of new Set([...first, ...folders])) found.push(await inCorePlugin(name, () => findFolder(app, dir, name, progress)))
  for (const { name, files } of inDependencyOrder(found)) await inCorePlugin(name, () => loadFolder(app, dir, name, files, progress))

  const packages = npmPattern === undefined ? [] : await matchingPackages(root, npmPattern)
  const named = [...packages.map(({ name }) => `npm:${name}`), ...load]
  for (const plugin of named) await progress.track(plugin, () => pluginManager.load(app, plugin, {}, { dir: root }))
}

export const corePlugins = fp(loadCorePlugins, { name: 'fastify-multitenant-core-plugins' })

/** Returns the sorted names of the core plugins' folders; none when `dir` does not exist. */
async function readFolders (dir: string, app: FastifyInstance): Promise<string[]> {
  const entries = await readdir(dir, { withFileTypes: true }).catch(noSuchFile) ?? []
  const visible = entries.filter(({ name }) => !name.startsWith('.') && name !== 'node_modules')
  for (const file of visible.filter(entry => entry.isFile())) {
    app.log.warn({ file: file.name, dir }, 'this file is not loaded: a core plugin must be a folder')
  }
  return visible.filter(entry => !entry.isFile()).map(({ name }) => name).sort()
}

async function findFolder (app: FastifyInstance, dir: string, name: string, progress: LoadProgress): Promise<FoundPlugin> {
  const folder = await TenantFolder.open(dir, progress)
  const files = await findPlugins(app, folder, name, AUTOLOAD)
  const metas = await readMetas(folder, files)
  return { name, files, names: metas.flatMap(({ name = [] }) => name), dependencies: metas.flatMap(({ dependencies = [] }) => dependencies) }
}

async function loadFolder (app: FastifyInstance, dir: string, name: string, files: string[], progress: LoadProgress): Promise<void> {
  await autoloadFolder(app, await TenantFolder.open(dir, progress), name, files, AUTOLOAD)
}

/** @throws {FST_TENANT_PLUGIN_FAILED} naming the folder when `work` throws */
async function inCorePlugin<Result> (name: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work()
  } catch (cause) {
    // `cause` is always an Error that names the file, even if the plugin threw another value.
    throw new FST_TENANT_PLUGIN_FAILED(name, (cause as Error).message, { cause })
  }
}
