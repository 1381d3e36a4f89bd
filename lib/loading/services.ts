import { basename, dirname, parse } from 'node:path'
import { isObject } from '../utils/check.ts'
import { copyExported } from './copy-exported.ts'
import { importModule, namedExports } from './modules/modules.ts'
import { isUnimportant } from '../utils/unimportant.ts'
import type { FastifyBaseLogger } from 'fastify'
import type { TenantFolder } from './folder.ts'
import type { LoadProgress } from './load-progress.ts'
import type { ModuleExports } from './modules/modules.ts'

type AnyFunction = (...args: readonly unknown[]) => unknown
type AnyClass = new (...args: readonly unknown[]) => unknown

/** The services of a tenant without services. All such tenants share it, which saves memory. */
export const NO_SERVICES: ReadonlyMap<string, unknown> = new Map()

/** A service that has been imported, and not created yet. */
export interface ServiceModule {
  name: string
  file: string
  folder: TenantFolder
  exported: unknown
}

/**
 * Imports the modules of the folder `services/`, sorted by path.
 * @throws {Error} naming the file that failed
 */
export async function importServices (log: FastifyBaseLogger, folder: TenantFolder): Promise<ServiceModule[]> {
  const modules = await folder.modulesAndJson('services', log)
  for (const file of modules.filter(file => isJson(file) && !isUnimportant(basename(file)))) log.warn({ file: folder.nameOf(file) }, 'this file is not loaded: a service must be a module')
  const services: ServiceModule[] = []
  for (const [name, file] of byName(folder, modules.filter(file => !isJson(file)))) {
    services.push({ name, file, folder, exported: await folder.inFile(file, async () => pickExport(await importModule(file), name)) })
  }
  return services
}

/**
 * Creates services one after the other. Each is added to `services` at once, so that later services can use it. `makeArgs` is called once,
 * and only if there is a service.
 * @throws {Error} naming the file that failed
 */
export async function createServices (modules: readonly ServiceModule[], services: Map<string, unknown>, makeArgs: () => readonly unknown[], progress: LoadProgress): Promise<void> {
  if (modules.length === 0) return
  const args = makeArgs()
  for (const { name, file, folder, exported } of modules) {
    // A template's folder has the progress of its own load, so the tenant's is given here.
    const create = (): Promise<unknown> => folder.wrapErrors(file, () => createService(exported, args))
    services.set(name, await progress.track(folder.nameOf(file), create))
  }
}

/**
 * Disposes of the services that have a method `[Symbol.asyncDispose]` or `[Symbol.dispose]`, the last one first. All are tried; then it rejects
 * with the first error.
 */
export async function disposeServices (services: ReadonlyMap<string, unknown>): Promise<void> {
  const errors: unknown[] = []
  for (const service of [...services.values()].reverse()) {
    try {
      const { [Symbol.asyncDispose]: disposeAsync, [Symbol.dispose]: dispose } = Object(service) as Partial<AsyncDisposable & Disposable>
      await (disposeAsync ?? dispose)?.call(service as AsyncDisposable & Disposable)
    } catch (error) {
      errors.push(error)
    }
  }
  if (errors.length > 0) throw errors[0]
}

function isJson (file: string): boolean {
  return file.endsWith('.json')
}

function byName (folder: TenantFolder, files: string[]): Map<string, string> {
  const names = new Map<string, string>()
  for (const file of files) {
    const name = nameOf(file, folder)
    const other = names.get(name)
    if (other !== undefined) throw new Error(`Two services '${name}': ${folder.nameOf(other)} and ${folder.nameOf(file)}`)
    names.set(name, file)
  }
  return names
}

/** The name of a service: its file name, or the name of its folder for an index file. */
function nameOf (file: string, folder: TenantFolder): string {
  const { name } = parse(file)
  const dir = dirname(file)
  return name === 'index' && dir !== folder.path('services') ? basename(dir) : name
}

async function createService (Exported: unknown, args: readonly unknown[]): Promise<unknown> {
  if (isClass(Exported)) return new Exported(...args)
  if (!isFunction(Exported)) return copyExported(Exported)
  const service = await Exported(...args)
  if (service === undefined) throw new Error('The factory returned undefined')
  return service
}

/** Picks the default export, else the export with the name of the file, else the only class, else the only function. */
function pickExport (module: ModuleExports, name: string): unknown {
  const exported = module['default']
  // `module.exports = { UserService }`
  const property = isObject(exported) ? namedAs(Object.entries(exported), name) : undefined
  if (property !== undefined) return property
  if (isService(exported)) return exported
  const named = namedExports(module)
  const own = namedAs(named, name)
  if (own !== undefined) return own

  const functions = named.map(([, value]) => value).filter(isFunction)
  const classes = functions.filter(isClass)
  const [only, ...more] = classes.length > 0 ? classes : functions
  if (only !== undefined && more.length === 0) return only
  throw new Error(`No export is the service '${name}': export it as default or by that name; the exports are ${Object.keys(module).join(', ') || 'none'}`)
}

/** The service with this name. Ignores case, hyphens, underscores and dots if there is no exact match: `MailService` matches `mail-service`. */
function namedAs (exports: Array<[name: string, value: unknown]>, name: string): unknown {
  const services = exports.filter(([, value]) => isService(value))
  const [, found] = services.find(([key]) => key === name) ?? services.find(([key]) => normalize(key) === normalize(name)) ?? []
  return found
}

function normalize (name: string): string {
  return name.replace(/[-_.]/g, '').toLowerCase()
}

function isService (value: unknown): boolean {
  return isFunction(value) || (typeof value === 'object' && value !== null)
}

function isFunction (value: unknown): value is AnyFunction {
  return typeof value === 'function'
}

function isClass (value: unknown): value is AnyClass {
  return isFunction(value) && /^class\b/.test(Function.prototype.toString.call(value))
}
