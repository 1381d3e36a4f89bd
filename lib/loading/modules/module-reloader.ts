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
 * Makes Node read the modules of a folder again, including the modules they import. Node never frees an ES module, so each
 * refresh costs the memory of the modules that are read again. CommonJS modules are freed.
 */
export class ModuleReloader {
  readonly #versions: Versions = new Map()
  readonly #registerHooks: RegisterHooks | undefined
  /** The fingerprint of each folder when it was last read. */
  readonly #states = new LRUCache<string, string>({ max: MAX_FOLDERS })
  /** The folders and tenants whose last load failed. Their next load reads the code again. */
  readonly #failedLoads = new LRUCache<string, true>({ max: MAX_FOLDERS })
  /** The running loads of each folder. */
  readonly #runningLoads = new Map<string, Set<Promise<unknown>>>()
  #registration: Registration | undefined
  #users = 0

  /** @param options `registerHooks`: Node's own function; `undefined` where Node does not have it */
  constructor ({ registerHooks }: { registerHooks?: RegisterHooks } = nodeModule as { registerHooks?: RegisterHooks }) {
    this.#registerHooks = registerHooks
  }

  /**
   * Refreshes the folder if it has changed since its last load, so that a tenant that is loaded again runs the code on disk. An
   * unchanged folder costs no memory. If the tenant's last load failed, the folder is always refreshed.
   */
  async refreshIfChanged (dir: string, id: string): Promise<void> {
    if (this.#failedLoads.delete(keyOf(dir, id))) return this.refresh(dir)
    const state = this.#states.get(dir)
    if (state !== undefined && state !== await folderState(dir)) return this.refresh(dir)
    if (state === undefined) this.#states.set(dir, await folderState(dir))
  }

  /**
   * Call this when a load of the tenant has failed. Node keeps modules that failed, so the tenant's next load reads the folder again.
   * Other tenants of the folder do not refresh it, because they would wait for a load that hangs.
   */
  noteFailedLoad (dir: string, id: string): void {
    this.#failedLoads.set(keyOf(dir, id), true)
  }

  /** Makes Node read the modules of the folder again when they are next imported. `dir` is an absolute path. */
  async refresh (dir: string): Promise<void> {
    this.#states.set(dir, await folderState(dir))
    await this.#loadsEnded(dir)
    // Node identifies modules by their real paths, behind symbolic links.
    const real = await realpath(dir)
    dropCommonJs(real)
    this.#registration ??= registerModuleHooks(this.#versions, this.#registerHooks)
    const folder = pathToFileURL(join(real, sep)).href
    const version = (this.#versions.get(folder) ?? 0) + 1
    this.#versions.set(folder, version)
    await this.#registration.set(folder, version)
  }

  /** Runs a load of the folder. A refresh waits for it, so that all its modules have one version. */
  async runLoad<Result> (dir: string, load: () => Promise<Result>): Promise<Result> {
    const running = load()
    const loads = this.#runningLoads.get(dir) ?? new Set()
    this.#runningLoads.set(dir, loads.add(running))
    try {
      return await running
    } finally {
      loads.delete(running)
      if (loads.size === 0) this.#runningLoads.delete(dir)
    }
  }

  /** Waits for the running loads of a folder, which several tenants may share. */
  async #loadsEnded (dir: string): Promise<void> {
    await Promise.allSettled(this.#runningLoads.get(dir) ?? [])
  }

  /** Counts a user of the reloader. Call `close()` once for each `open()`. */
  open (): this {
    this.#users++
    return this
  }

  /** Removes the module hooks when the last user has closed. */
  close (): void {
    if (--this.#users > 0) return
    this.#registration?.close()
    this.#registration = undefined
  }
}

/**
 * The reloader of the process. All apps of the process share Node's module cache, so they must share the folder versions too.
 * Otherwise a second app would run outdated modules that the first app has loaded.
 */
export const processReloader = new ModuleReloader()

/** A path cannot contain NUL, so the key is unambiguous. */
function keyOf (dir: string, id: string): string {
  return `${dir}\0${id}`
}
