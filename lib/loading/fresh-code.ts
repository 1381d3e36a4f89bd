import { lstat, readdir, realpath } from 'node:fs/promises'
import * as nodeModule from 'node:module'
import type { ResolveFnOutput, ResolveHookContext } from 'node:module'
import { extname, join, sep } from 'node:path'
import { pathToFileURL } from 'node:url'
import { MessageChannel } from 'node:worker_threads'
import { LRUCache } from 'lru-cache'
import type { MessagePort } from 'node:worker_threads'
import { noSuchFile } from './no-such-file.ts'
import { versionedUrl } from './versions.ts'
import type { Versions } from './versions.ts'

/** Puts a new version in force. */
interface Registration {
  set (folder: string, version: number): Promise<void>
  close (): void
}

/** Of Node from 22.15: https://nodejs.org/api/module.html#moduleregisterhooksoptions */
type RegisterHooks = (hooks: {
  resolve (specifier: string, context: ResolveHookContext, next: (specifier: string, context: ResolveHookContext) => ResolveFnOutput): ResolveFnOutput
}) => { deregister (): void }

const MODULE = /\.(?:[cm]?[jt]s|json)$/
const MAX_FOLDERS = 10_000

const { cache } = nodeModule.createRequire(import.meta.url)

/**
 * Makes Node read the modules of a folder again, those that they import included. Node keeps every ES module for ever, so
 * each time costs the memory of the modules that are read again; CommonJS modules are given back.
 */
export class FreshCode {
  readonly #versions: Versions = new Map()
  readonly #registerHooks: RegisterHooks | undefined
  /** What the folders looked like when they were loaded last. */
  readonly #seen = new LRUCache<string, string>({ max: MAX_FOLDERS })
  /** Who could not be loaded, and from where. */
  readonly #distrusted = new LRUCache<string, true>({ max: MAX_FOLDERS })
  /** The loads that read from each folder now. */
  readonly #reading = new Map<string, Set<Promise<unknown>>>()
  #registration: Registration | undefined
  #users = 0

  /** @param registerHooks Node's own, where it has it */
  constructor ({ registerHooks }: { registerHooks?: RegisterHooks } = nodeModule as { registerHooks?: RegisterHooks }) {
    this.#registerHooks = registerHooks
  }

  /**
   * Reads the folder again when something in it has changed since it was loaded last, so that a tenant that comes back runs what is
   * on disk, and costs nothing when that is what it was. A tenant that failed reads it again whatever it looks like.
   */
  async refreshChanged (dir: string, id: string): Promise<void> {
    if (this.#distrusted.delete(keyOf(dir, id))) return this.refresh(dir)
    const seen = this.#seen.get(dir)
    if (seen !== undefined && seen !== await stateOf(dir)) return this.refresh(dir)
    if (seen === undefined) this.#seen.set(dir, await stateOf(dir))
  }

  /**
   * What was read of the folder for this tenant may be broken, and Node keeps it: the tenant's next load reads it again. Others of the
   * same folder do not, or they would wait for whichever of its loads hangs.
   */
  distrust (dir: string, id: string): void {
    this.#distrusted.set(keyOf(dir, id), true)
  }

  /** From now on what is imported from the folder is read again. `dir` is an absolute path. */
  async refresh (dir: string): Promise<void> {
    this.#seen.set(dir, await stateOf(dir))
    await this.#untilRead(dir)
    // Node knows modules by the paths behind symbolic links.
    const real = await realpath(dir)
    dropCommonJs(real)
    this.#registration ??= register(this.#versions, this.#registerHooks)
    const folder = pathToFileURL(join(real, sep)).href
    const version = (this.#versions.get(folder) ?? 0) + 1
    this.#versions.set(folder, version)
    await this.#registration.set(folder, version)
  }

  /** Runs a load that reads modules of the folder: until it is over all of them are of one version. */
  async reading<Result> (dir: string, load: () => Promise<Result>): Promise<Result> {
    const reading = load()
    const all = this.#reading.get(dir) ?? new Set()
    this.#reading.set(dir, all.add(reading))
    try {
      return await reading
    } finally {
      all.delete(reading)
      if (all.size === 0) this.#reading.delete(dir)
    }
  }

  /** Several tenants may share a folder. */
  async #untilRead (dir: string): Promise<void> {
    await Promise.allSettled(this.#reading.get(dir) ?? [])
  }

  /** Call `close()` as often. */
  open (): this {
    this.#users++
    return this
  }

  /** Takes the hooks off Node's loader when nobody needs them any more. */
  close (): void {
    if (--this.#users > 0) return
    this.#registration?.close()
    this.#registration = undefined
  }
}

/**
 * The code of the process. Node keeps modules for the process as a whole, so what was read, and which version is in use, is known for
 * it as a whole too: a second app must not take for new what the first has read before it.
 */
export const processCode = new FreshCode()

/** No path has a NUL in it. */
function keyOf (dir: string, id: string): string {
  return `${dir}\0${id}`
}

/** Changes with every module that is written, added or taken away; installed packages and data apart. */
async function stateOf (dir: string): Promise<string> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true })
  const paths = entries.map(entry => join(entry.parentPath, entry.name)).filter(path => MODULE.test(path) && !isInstalled(path))
  // What has gone meanwhile does not count.
  const stats = await Promise.all(paths.map(path => lstat(path, { bigint: true }).catch(noSuchFile)))
  const times = stats.filter(stat => stat !== undefined).map(stat => stat.ctimeNs)
  return `${times.length} ${times.reduce((latest, time) => time > latest ? time : latest, 0n)}`
}

/** Forgets the CommonJS modules below a folder, and what keeps them alive: the lists of children of those that required them. */
export function dropCommonJs (path: string): void {
  const dropped = new Set<NodeJS.Module>()
  for (const [file, module] of Object.entries(cache)) {
    if (module === undefined || !isBelow(file, path)) continue
    dropped.add(module)
    Reflect.deleteProperty(cache, file)
  }
  // What `createRequire()` requires for is a parent too, and not in the cache.
  const parents = [...dropped].map(({ parent }) => parent)
  for (const parent of new Set([...Object.values(cache), ...parents])) {
    if (parent?.children.some(child => dropped.has(child))) parent.children = parent.children.filter(child => !dropped.has(child))
  }
}

function isBelow (file: string, path: string): boolean {
  return file === path || (file.startsWith(join(path, sep)) && !isInstalled(file))
}

function isInstalled (path: string): boolean {
  return path.includes(`${sep}node_modules${sep}`)
}

function register (versions: Versions, registerHooks: RegisterHooks | undefined): Registration {
  if (registerHooks === undefined) return registerThreadHooks()
  const hooks = registerHooks({
    resolve (specifier, context, next) {
      const resolved = next(specifier, context)
      return { ...resolved, url: versionedUrl(versions, resolved.url, context.parentURL) }
    }
  })
  return { set: async () => {}, close: () => hooks.deregister() }
}

/** For Node before 22.15, whose hooks run in a thread of their own and stay for ever. */
function registerThreadHooks (): Registration {
  const { port1, port2 } = new MessageChannel()
  // The extension is that of this file: .ts before it is built, .js after.
  const url = new URL(`./fresh-code-hooks${extname(import.meta.url)}`, import.meta.url)
  nodeModule.register(url, { data: { port: port2 }, transferList: [port2] })
  port1.unref()
  // One at a time, so that each waits for its own acknowledgement.
  let last = Promise.resolve()
  const set = (folder: string, version: number): Promise<void> => {
    last = last.then(() => setInThread(port1, folder, version))
    return last
  }
  return { set, close: () => port1.close() }
}

function setInThread (port: MessagePort, folder: string, version: number): Promise<void> {
  return new Promise(resolve => {
    port.ref()
    port.once('message', () => {
      port.unref()
      resolve()
    })
    port.postMessage({ folder, version })
  })
}
