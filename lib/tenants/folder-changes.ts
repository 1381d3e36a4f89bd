import type { FastifyBaseLogger } from 'fastify'
import { WatchedFolder } from './watched-folder.ts'

/** How long a folder must be quiet before its tenants are reloaded, in ms: editors and deployments write several files. */
const QUIET_TIME = 100

/** A folder, and the tenants that were loaded from it: several may share one. */
interface Watched {
  folder: WatchedFolder
  tenants: Set<string>
}

/** Watches the folders of tenants and reloads the tenants whose folders change. */
export class FolderChanges {
  readonly #reload: (id: string) => Promise<unknown>
  readonly #isKnown: (id: string) => boolean
  readonly #log: FastifyBaseLogger
  readonly #watched = new Map<string, Watched>()
  readonly #timers = new Map<string, NodeJS.Timeout>()
  #closed = false

  /**
   * @param reload reloads a tenant. Never rejects.
   * @param isKnown whether a tenant is loaded or failed to load
   */
  constructor (reload: (id: string) => Promise<unknown>, isKnown: (id: string) => boolean, log: FastifyBaseLogger) {
    this.#reload = reload
    this.#isKnown = isKnown
    this.#log = log
  }

  /** How many folders are watched. */
  get size (): number {
    return this.#watched.size
  }

  /** Watches a tenant's folder from now on, even if the tenant fails to load. */
  add (id: string, dir: string): void {
    // A load may still run while the app closes.
    if (this.#closed) return
    this.#forgetDeleted()
    const { tenants } = this.#watched.get(dir) ?? this.#watch(dir)
    tenants.add(id)
  }

  async close (): Promise<void> {
    this.#closed = true
    for (const timer of this.#timers.values()) clearTimeout(timer)
    await Promise.all([...this.#watched.values()].map(({ folder }) => folder.close()))
  }

  #watch (dir: string): Watched {
    const tenants = new Set<string>()
    const folder = new WatchedFolder(dir, () => tenants.forEach(id => this.#schedule(id)), this.#onError)
    const watched = { folder, tenants }
    this.#watched.set(dir, watched)
    return watched
  }

  /** Stops watching the deleted folders of tenants that are no longer in memory. */
  #forgetDeleted (): void {
    for (const [dir, { folder, tenants }] of this.#watched) {
      if (!folder.isDeleted || [...tenants].some(id => this.#isKnown(id))) continue
      this.#watched.delete(dir)
      folder.close().catch(this.#onError)
    }
  }

  readonly #onError = (err: unknown): void => {
    this.#log.error({ err }, 'watching the folders of tenants failed')
  }

  #schedule (id: string): void {
    clearTimeout(this.#timers.get(id))
    this.#timers.set(id, setTimeout(() => {
      this.#timers.delete(id)
      // A tenant that is not in memory reads the changed files when it is loaded.
      if (this.#isKnown(id)) this.#reload(id)
    }, QUIET_TIME))
  }
}
