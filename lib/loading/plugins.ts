import { join } from 'node:path'
import fastifyAutoload from '@fastify/autoload'
import { isObject } from '../utils/check.ts'
import { withAutoConfig, takeSettings } from './auto-config.ts'
import { readAutoHooks } from './auto-hooks.ts'
import { filesBelow } from './files-below.ts'
import { importModule } from './modules/modules.ts'
import { warnOfPassedOver } from './passed-over.ts'
import { pluginMeta } from './plugin-function.ts'
import type { AutoloadPluginOptions } from '@fastify/autoload'
import type { FastifyInstance, FastifyPluginAsync, FastifyPluginOptions, RouteOptions } from 'fastify'
import type { PluginSettings } from './auto-config.ts'
import type { TenantFolder } from './folder.ts'
import type { PluginFunction, PluginMeta } from './plugin-function.ts'

/** A file that autoload takes, and what it may find there: a plugin or a route, in some modules below a second `default`. */
interface PluginFile extends PluginSettings {
  file: string
  exports: unknown[]
  registered: boolean
}

/** It is called and not registered, so that what it registers can be told apart. Its types say callback; it is an async function. */
const autoload = fastifyAutoload as unknown as FastifyPluginAsync<AutoloadPluginOptions>

export type AutoloadSettings = Omit<Partial<AutoloadPluginOptions>, 'dir'>

/** The files in the folder `plugins/` or `routes/` that @fastify/autoload takes; none when there is no such folder. */
export async function findPlugins (scope: FastifyInstance, folder: TenantFolder, name: string, settings: AutoloadSettings): Promise<string[]> {
  if (!folder.has(name)) return []
  const dir = folder.path(name)
  return folder.naming(dir, () => scan(scope, { ...settings, dir }))
}

/** Registers what was found in the folder with @fastify/autoload. Throws an Error naming the file that fails. */
export async function autoloadFolder (scope: FastifyInstance, folder: TenantFolder, name: string, found: string[], settings: AutoloadSettings): Promise<void> {
  if (!folder.has(name)) return
  const options = { ...settings, dir: folder.path(name) }
  await folder.naming(options.dir, async () => {
    const below = await filesBelow(options.dir)
    await warnOfPassedOver(scope.log, folder, below, found, options)
    if (found.length === 0) return
    const files = await readFiles(folder, found, options)
    refuseSameNames(folder, files)
    warnOfOthers(scope, folder, files)
    const hooks = await readAutoHooks(folder, below, options)
    const all = [...files, ...hooks.map(hook => ({ ...hook, registered: false, autoConfig: undefined, prefixIsFinal: true }))]
    await autoload(attributing(scope, folder, all), options)
    await scope.after()
  })
}

/** It runs with a filter that notes them and lets none of them pass. */
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
  // One after the other: several may set `autoConfig` on the same function.
  for (const file of paths) {
    const module = await folder.inFile(file, () => importModule(file))
    const exports = [module['default'], (module['default'] as { default?: unknown } | undefined)?.default]
    const off = [module, ...exports].some(exported => (exported as { autoload?: unknown } | undefined)?.autoload === false)
    const { autoConfig, prefixIsFinal } = takeSettings(module, exports.find(exported => typeof exported === 'function'))
    // As in autoload, a prefix in its options wins over that of `autoConfig`.
    const settings = { autoConfig, prefixIsFinal: prefixIsFinal || options?.['prefix'] !== undefined }
    if (!off) files.push({ file, exports, registered: false, ...settings })
  }
  return files
}

/** What `fastify-plugin` was told of the plugins in these files. Throws an Error naming the file. */
export async function readMetas (folder: TenantFolder, paths: string[]): Promise<PluginMeta[]> {
  const files = await readFiles(folder, paths, {})
  return files.flatMap(({ exports }) => exports.map(pluginMeta).find(meta => meta !== undefined) ?? [])
}

/** autoload drops one of two plugins with the same name, without a word. */
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

/** autoload passes over what is neither a plugin nor a route, and tells nobody. */
function warnOfOthers (scope: FastifyInstance, folder: TenantFolder, files: PluginFile[]): void {
  for (const { file } of files.filter(({ exports }) => !exports.some(isPluginOrRoute))) {
    scope.log.warn({ file: folder.nameOf(file) }, 'this file is not loaded: its default export is no plugin and no route')
  }
}

function isPluginOrRoute (exported: unknown): boolean {
  return typeof exported === 'function' || (isObject(exported) && Object.hasOwn(exported, 'method'))
}

/** The instance as autoload sees it: what is registered there names its file when it fails, and has its `autoConfig` back. */
function attributing (instance: FastifyInstance, folder: TenantFolder, files: PluginFile[]): FastifyInstance {
  const register = (plugin: PluginFunction, options: FastifyPluginOptions): void => {
    const known = fileOf(files, plugin)
    if (known === undefined) {
      instance.register(within(plugin, folder, files), options)
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

/** The file that exports this. Several files may export one function: autoload registers them in their order. */
function fileOf (files: PluginFile[], exported: unknown): PluginFile | undefined {
  const found = files.filter(({ exports }) => exports.includes(exported))
  return found.find(({ registered }) => !registered) ?? found[0]
}

/** autoload's own plugins, around the files below an autohooks file and around a route, go on registering as above. */
function within (plugin: PluginFunction, folder: TenantFolder, files: PluginFile[]): PluginFunction {
  return async (instance, options) => plugin(attributing(instance, folder, files), options, () => {})
}
