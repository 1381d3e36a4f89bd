import type { FastifyBaseLogger } from 'fastify'
import { FST_TENANT_NOT_FOUND } from '../errors.ts'
import { saidOnce } from './said-once.ts'
import { WatchedFolder } from './watched-folder.ts'

/** How long a folder must be quiet before its tenant is reloaded, in ms: editors and deployments write more than one file. */
const SETTLE = 100

/** A folder, and the tenants that were loaded from it: several may share one. */
interface Watched {
  folder: WatchedFolder
  tenants: Set<string>
}

/** Calls for a reload of the tenants whose folders change. */
export class FolderChanges {
  readonly #reload: (id: string) => Promise<unknown>
  readonly #isKnown: (id: string) => boolean
  readonly #log: FastifyBaseLogger
  readonly #watched = new Map<string, Watched>()
  readonly #timers = new Map<string, NodeJS.Timeout>()

  /** @param isKnown whether a tenant is loaded, or failed to */
  constructor (reload: (id: string) => Promise<unknown>, isKnown: (id: string) => boolean, log: FastifyBaseLogger) {
    this.#reload = reload
    this.#isKnown = isKnown
    this.#log = log
  }

  /** How many folders are watched. */
  get size (): number {
    return this.#watched.size
  }

  /** Watches a tenant's folder from now on, whether the tenant can be loaded or not. */
  add (id: string, dir: string): void {
    this.#forgetGone()
    const { tenants } = this.#watched.get(dir) ?? this.#watch(dir)
    tenants.add(id)
  }

  async close (): Promise<void> {
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

  /** Folders that were deleted, of tenants that are not in memory any more. */
  #forgetGone (): void {
    for (const [dir, { folder, tenants }] of this.#watched) {
      if (!folder.gone || [...tenants].some(id => this.#isKnown(id))) continue
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
      // One that is not in memory reads what has changed when it is loaded.
      if (!this.#isKnown(id)) return
      this.#reload(id).then(
        () => this.#log.info({ tenantId: id }, 'tenant reloaded'),
        err => this.#onFailure(id, err))
    }, SETTLE))
  }

  #onFailure (tenantId: string, err: unknown): void {
    if (err instanceof FST_TENANT_NOT_FOUND) this.#log.info({ tenantId }, 'tenant unloaded: it is gone, or its config leaves it out')
    else this.#log.warn({ err: saidOnce(err), tenantId }, 'tenant not reloaded')
  }
}
