import { join } from 'node:path'
import fastifyAutoload from '@fastify/autoload'
import { isObject } from '../utils/check.ts'
import { withAutoConfig, takeSettings } from './auto-config.ts'
import { readAutoHooks } from './auto-hooks.ts'
import { filesBelow } from './files-below.ts'
import { importModule } from './modules/modules.ts'
import { pluginMeta } from './plugin-function.ts'
import { warnOfSkippedFiles } from './skipped-files.ts'
import type { AutoloadPluginOptions } from '@fastify/autoload'
import type { FastifyInstance, FastifyPluginAsync, FastifyPluginOptions, RouteOptions } from 'fastify'
import type { PluginSettings } from './auto-config.ts'
import type { TenantFolder } from './folder.ts'
import type { PluginFunction, PluginMeta } from './plugin-function.ts'

/** A file that autoload loads. `exports` may hold a plugin or a route; compiled modules may nest it in a second `default`. */
interface PluginFile extends PluginSettings {
  file: string
  exports: unknown[]
  registered: boolean
}

/** Called directly and not registered, so that each registration can be traced to a file. Its type declares a callback, but it is async. */
const autoload = fastifyAutoload as unknown as FastifyPluginAsync<AutoloadPluginOptions>

export type AutoloadSettings = Omit<Partial<AutoloadPluginOptions>, 'dir'>

/** The files of a folder that @fastify/autoload would load. Empty when there is no such folder. */
export async function findPlugins (scope: FastifyInstance, folder: TenantFolder, name: string, settings: AutoloadSettings): Promise<string[]> {
  if (!folder.has(name)) return []
  const dir = folder.path(name)
  return folder.wrapErrors(dir, () => scan(scope, { ...settings, dir }))
}

/**
 * Registers the `found` files of a folder with @fastify/autoload.
 * @throws {Error} naming the file that failed
 */
export async function autoloadFolder (scope: FastifyInstance, folder: TenantFolder, name: string, found: string[], settings: AutoloadSettings): Promise<void> {
  if (!folder.has(name)) return
  const options = { ...settings, dir: folder.path(name) }
  await folder.wrapErrors(options.dir, async () => {
    const below = await filesBelow(options.dir)
    await warnOfSkippedFiles(scope.log, folder, below, found, options)
    if (found.length === 0) return
    const files = await readFiles(folder, found, options)
    refuseSameNames(folder, files)
    warnOfOtherExports(scope, folder, files)
    const hooks = await readAutoHooks(folder, below, options)
    const all = [...files, ...hooks.map(hook => ({ ...hook, registered: false, autoConfig: undefined, prefixIsFinal: true }))]
    await autoload(viewForAutoload(scope, folder, all), options)
    await scope.after()
  })
}

/** Runs autoload with a filter that collects the paths and ignores every file. */
async function scan (scope: FastifyInstance, options: AutoloadPluginOptions): Promise<string[]> {
  const files: string[] = []
  const note = (path: string): boolean => {
    if (!matches(options.ignoreFilter, path)) files.push(join(options.dir, path))
    return true
  }
  await autoload(scope, { ...options, autoHooks: false, ignoreFilter: note })
  return files
}

function matches (filter: AutoloadPluginOptions['ignoreFilter'], path: string): boolean {
  if (filter === undefined) return false
  if (typeof filter === 'string') return path.includes(filter)
  return filter instanceof RegExp ? filter.test(path) : filter(path)
}

async function readFiles (folder: TenantFolder, paths: string[], { options }: AutoloadSettings): Promise<PluginFile[]> {
  const files: PluginFile[] = []
  // Sequential, because several files may set `autoConfig` on the same function.
  for (const file of paths) {
    const module = await folder.inFile(file, () => importModule(file))
    const exports = [module['default'], (module['default'] as { default?: unknown } | undefined)?.default]
    const optsOut = [module, ...exports].some(exported => (exported as { autoload?: unknown } | undefined)?.autoload === false)
    const { autoConfig, prefixIsFinal } = takeSettings(module, exports.find(exported => typeof exported === 'function'))
    // As in autoload, a prefix in the options wins over the prefix of `autoConfig`.
    const settings = { autoConfig, prefixIsFinal: prefixIsFinal || options?.['prefix'] !== undefined }
    if (!optsOut) files.push({ file, exports, registered: false, ...settings })
  }
  return files
}

/**
 * The `fastify-plugin` metadata of the plugins in these files.
 * @throws {Error} naming the file that failed
 */
export async function readMetas (folder: TenantFolder, paths: string[]): Promise<PluginMeta[]> {
  const files = await readFiles(folder, paths, {})
  return files.flatMap(({ exports }) => exports.map(pluginMeta).find(meta => meta !== undefined) ?? [])
}

/** Refuses two plugins of the same name, because autoload would silently drop one. */
function refuseSameNames (folder: TenantFolder, files: PluginFile[]): void {
  const names = new Map<string, string>()
  for (const { file, exports } of files) {
    const name = exports.map(exported => pluginMeta(exported)?.name).find(name => name !== undefined)
    if (name === undefined) continue
    const other = names.get(name)
    if (other !== undefined) throw new Error(`Two plugins '${name}': ${folder.nameOf(other)} and ${folder.nameOf(file)}`)
    names.set(name, file)
  }
}

/** Warns about files that export neither a plugin nor a route. autoload silently skips them. */
function warnOfOtherExports (scope: FastifyInstance, folder: TenantFolder, files: PluginFile[]): void {
  for (const { file } of files.filter(({ exports }) => !exports.some(isPluginOrRoute))) {
    scope.log.warn({ file: folder.nameOf(file) }, 'this file is not loaded: its default export is neither a plugin nor a route')
  }
}

function isPluginOrRoute (exported: unknown): boolean {
  return typeof exported === 'function' || (isObject(exported) && Object.hasOwn(exported, 'method'))
}

/** A view of the instance for autoload. Its `register()` and `route()` name the file in errors and restore `autoConfig`. */
function viewForAutoload (instance: FastifyInstance, folder: TenantFolder, files: PluginFile[]): FastifyInstance {
  const register = (plugin: PluginFunction, options: FastifyPluginOptions): void => {
    const known = fileOf(files, plugin)
    if (known === undefined) {
      instance.register(wrapAutoloadPlugin(plugin, folder, files), options)
      return
    }
    known.registered = true
    const end = folder.progress.begin(folder.nameOf(known.file))
    instance.register(plugin, withAutoConfig(known, options)).after(async error => {
      end()
      if (error !== null && error !== undefined) throw folder.fileError(known.file, error)
    })
  }
  const route = (options: RouteOptions): void => {
    try {
      instance.route(options)
    } catch (error) {
      throw folder.fileError((fileOf(files, options) as PluginFile).file, error)
    }
  }
  return Object.create(instance, { register: { value: register }, route: { value: route } })
}

/** The file with this export. If several files export the same function, autoload registers them in order. */
function fileOf (files: PluginFile[], exported: unknown): PluginFile | undefined {
  const found = files.filter(({ exports }) => exports.includes(exported))
  return found.find(({ registered }) => !registered) ?? found[0]
}

/** Wraps the plugins that autoload makes around autohooks and routes, so that they register through the same view. */
function wrapAutoloadPlugin (plugin: PluginFunction, folder: TenantFolder, files: PluginFile[]): PluginFunction {
  return async (instance, options) => plugin(viewForAutoload(instance, folder, files), options, () => {})
}
