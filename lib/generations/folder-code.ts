import { processReloader } from '../loading/modules/module-reloader.ts'

/** Called before a load from a folder. */
export type FolderListener = (id: string, dir: string) => void

/** The kind of a load. */
export interface FolderLoad {
  /** Whether modules are read from disk again. */
  freshCode: boolean
  /** Whether nothing of the tenant or template is loaded. Changed modules are then read again. */
  isFirst: boolean
}

/** Keeps the modules of tenants' or templates' folders up to date. A folder is `undefined` for code that is not in a folder. */
export class FolderCode {
  readonly #reloader = processReloader.open()
  readonly #listeners: FolderListener[] = []

  /** Calls `listener` before each load from a folder. */
  onLoad (listener: FolderListener): void {
    this.#listeners.push(listener)
  }

  /** Call this before a load. */
  async prepare (id: string, dir: string | undefined, { freshCode, isFirst }: FolderLoad): Promise<void> {
    if (dir === undefined) return
    for (const listener of this.#listeners) listener(id, dir)
    if (freshCode) return this.#reloader.refresh(dir)
    if (isFirst) await this.#reloader.refreshIfChanged(dir, id)
  }

  /** Runs a part of a load. The folder is not refreshed meanwhile. */
  run<Result> (dir: string | undefined, work: () => Promise<Result>): Promise<Result> {
    return dir === undefined ? work() : this.#reloader.runLoad(dir, work)
  }

  /** Call this when a load has failed: the next one reads the modules again. */
  noteFailure (id: string, dir: string | undefined): void {
    if (dir !== undefined) this.#reloader.noteFailedLoad(dir, id)
  }

  close (): void {
    this.#reloader.close()
  }
}
