import { readdir } from 'node:fs/promises'
import { resolve } from 'node:path'
import fp from 'fastify-plugin'
import { FST_TENANT_PLUGIN_FAILED } from '../errors.ts'
import { TenantFolder } from '../loading/folder.ts'
import { matchingPackages } from '../sources/packages.ts'
import { autoloadFolder, findPlugins, readMetas } from '../loading/plugins.ts'
import { inDependencyOrder } from './core-plugin-order.ts'
import type { FastifyInstance } from 'fastify'
import type { LoadProgress } from '../loading/load-progress.ts'
import type { PluginManager } from '../loading/plugin-manager.ts'
import type { CorePlugin } from './core-plugin-order.ts'
import type { ResolvedServerConfig } from '../../types/index.ts'

/** What the core plugins are loaded by. */
export interface CorePluginsOptions {
  config: ResolvedServerConfig
  pluginManager: PluginManager
  progress: LoadProgress
}

/** A folder of core plugins, and the files in it that are to be loaded. */
interface FoundPlugin extends CorePlugin { files: string[] }

/** Each folder is one plugin, or several in files beside each other; what is further down belongs to them. */
const AUTOLOAD = { encapsulate: false, dirNameRoutePrefix: false, maxDepth: 0 }

/**
 * Loads the plugins that all tenants share: the folders of `plugins.path`, those in `coreOrder` first and in that order, but each after
 * those that it names as `dependencies` to `fastify-plugin`; then the packages that match `plugins.npmPattern`, then `plugins.load`. They
 * load one after the other, so each finds what those before it have decorated. Throws FST_TENANT_PLUGIN_FAILED, FST_TENANT_SCHEME_UNKNOWN, FST_TENANT_PACKAGE_INVALID.
 */
async function loadCorePlugins (app: FastifyInstance, { config, pluginManager, progress }: CorePluginsOptions): Promise<void> {
  const { root, plugins: { path, coreOrder, npmPattern, load } } = config
  const dir = resolve(root, path)
  const folders = await readFolders(dir, app)
  for (const name of coreOrder) {
    if (!folders.includes(name)) app.log.warn({ plugin: name, dir }, 'coreOrder names a core plugin that has no folder')
  }
  const first = coreOrder.filter(name => folders.includes(name))
  const found: FoundPlugin[] = []
  for (const name of new Set([...first, ...folders])) found.push(await naming(name, () => findFolder(app, dir, name, progress)))
  for (const { name, files } of inDependencyOrder(found)) await naming(name, () => loadFolder(app, dir, name, files, progress))

  const packages = npmPattern === undefined ? [] : await matchingPackages(root, npmPattern)
  const named = [...packages.map(({ name }) => `npm:${name}`), ...load]
  for (const plugin of named) await progress.track(plugin, () => pluginManager.load(app, plugin, {}, { dir: root }))
}

export const corePlugins = fp(loadCorePlugins, { name: 'fastify-multitenant-core-plugins' })

/** The names of the folders, sorted; none when there is no such folder. */
async function readFolders (dir: string, app: FastifyInstance): Promise<string[]> {
  try {
    const entries = await readdir(dir, { withFileTypes: true })
    const visible = entries.filter(({ name }) => !name.startsWith('.') && name !== 'node_modules')
    for (const file of visible.filter(entry => entry.isFile())) {
      app.log.warn({ file: file.name, dir }, 'a core plugin is a folder: this file is not loaded')
    }
    return visible.filter(entry => !entry.isFile()).map(({ name }) => name).sort()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
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

/** Throws FST_TENANT_PLUGIN_FAILED with the name of the folder for whatever a plugin throws. */
async function naming<Result> (name: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work()
  } catch (cause) {
    // An Error that names the file, whatever the plugin has thrown.
    throw new FST_TENANT_PLUGIN_FAILED(name, (cause as Error).message, { cause })
  }
}
