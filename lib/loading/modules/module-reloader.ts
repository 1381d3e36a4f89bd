import { realpath } from 'node:fs/promises'
import * as nodeModule from 'node:module'
import { join, sep } from 'node:path'
import { pathToFileURL } from 'node:url'
import { LRUCache } from 'lru-cache'
import { dropCommonJs } from './common-js.ts'
import { folderState } from './folder-state.ts'
import { registerModuleHooks } from './module-hooks.ts'
import type { RegisterHooks, Registration } from './module-hooks.ts'
import type { Versions } from './versions.ts'

const MAX_FOLDERS = 10_000

/**
 * Makes Node read the modules of a folder again, those that they import included. Node keeps every ES module for ever, so
 * each time costs the memory of the modules that are read again; CommonJS modules are given back.
 */
export class ModuleReloader {
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
    if (seen !== undefined && seen !== await folderState(dir)) return this.refresh(dir)
    if (seen === undefined) this.#seen.set(dir, await folderState(dir))
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
    this.#seen.set(dir, await folderState(dir))
    await this.#untilRead(dir)
    // Node knows modules by the paths behind symbolic links.
    const real = await realpath(dir)
    dropCommonJs(real)
    this.#registration ??= registerModuleHooks(this.#versions, this.#registerHooks)
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
export const processCode = new ModuleReloader()

/** No path has a NUL in it. */
function keyOf (dir: string, id: string): string {
  return `${dir}\0${id}`
}
