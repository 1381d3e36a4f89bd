import type { FastifyBaseLogger } from 'fastify'
import { join, sep } from 'node:path'
import { watch } from 'chokidar'
import type { FSWatcher } from 'chokidar'

/** How long a folder must be quiet before its tenant is reloaded, in ms: editors and deployments write more than one file. */
const SETTLE = 100

/** Calls for a reload of the tenants whose folders change. */
export class Watcher {
  readonly #reload: (id: string) => Promise<unknown>
  readonly #isKnown: (id: string) => boolean
  readonly #log: FastifyBaseLogger
  readonly #watcher: FSWatcher
  /** The tenants of each folder; several may share one. */
  readonly #tenants = new Map<string, Set<string>>()
  readonly #timers = new Map<string, NodeJS.Timeout>()

  /** @param isKnown whether a tenant is loaded, or failed to */
  constructor (reload: (id: string) => Promise<unknown>, isKnown: (id: string) => boolean, log: FastifyBaseLogger) {
    this.#reload = reload
    this.#isKnown = isKnown
    this.#log = log
    this.#watcher = watch([], { ignoreInitial: true, ignored: path => path.endsWith(`${sep}node_modules`) })
    this.#watcher.on('all', (_event, path) => this.#onChange(path))
    this.#watcher.on('error', err => log.error({ err }, 'watching the folders of tenants failed'))
  }

  /** Watches a tenant's folder from now on, whether the tenant can be loaded or not. */
  add (id: string, dir: string): void {
    const tenants = this.#tenants.get(dir)
    if (tenants !== undefined) {
      tenants.add(id)
      return
    }
    this.#tenants.set(dir, new Set([id]))
    this.#watcher.add(dir)
  }

  async close (): Promise<void> {
    for (const timer of this.#timers.values()) clearTimeout(timer)
    await this.#watcher.close()
  }

  #onChange (path: string): void {
    for (const [dir, tenants] of this.#tenants) {
      if (path === dir || path.startsWith(join(dir, sep))) tenants.forEach(id => this.#schedule(id))
    }
  }

  #schedule (id: string): void {
    clearTimeout(this.#timers.get(id))
    this.#timers.set(id, setTimeout(() => {
      this.#timers.delete(id)
      // One that is not in memory reads what has changed when it is loaded.
      if (!this.#isKnown(id)) return
      this.#reload(id).then(
        () => this.#log.info({ tenantId: id }, 'tenant reloaded'),
        err => this.#log.warn({ err, tenantId: id }, 'tenant not reloaded'))
    }, SETTLE))
  }
}
