import type { FastifyInstance } from 'fastify'
import { loadTenant } from '../loading/load-tenant.ts'
import { Tenant } from './tenant.ts'
import type { LoadingOptions } from '../options.ts'
import type { Scope } from '../scope/scope.ts'
import type { TenantContents } from '../loading/load-tenant.ts'
import type { DrainReport, TenantDefinition, TenantState, TenantStatistics } from '../../types/index.ts'

/** What keeps a generation loaded: a response that is not closed yet. */
export interface Holder {
  req?: { method?: string | undefined, url?: string | undefined, originalUrl?: string }
  destroy (): unknown
}

/** One load of a tenant, from its first file to its last request. */
export class Generation {
  readonly id: string
  /** Counts the loads of this tenant, from 1. */
  readonly number: number
  readonly scope: Scope
  #state: TenantState = 'loading'
  #tenant: Tenant | undefined
  #loadedAt: Date | null = null
  #loadMs: number | null = null
  #requests = 0
  /** When each open request came, in ms since the epoch. */
  readonly #open = new Map<Holder, number>()
  #onIdle: (() => void) | undefined

  constructor (id: string, number: number, scope: Scope) {
    this.id = id
    this.number = number
    this.scope = scope
  }

  get state (): TenantState {
    return this.#state
  }

  /** The tenant that this generation is. There from the moment its config is read. */
  get tenant (): Tenant {
    return this.#tenant as Tenant
  }

  /** Loads the tenant. What it throws has closed everything that was opened. */
  async load (definition: TenantDefinition, options: LoadingOptions): Promise<this> {
    const started = performance.now()
    try {
      await this.scope.boot(`tenant ${this.id}`, instance => {
        return loadTenant(instance, definition, options, contents => this.#introduce(instance, contents))
      })
    } catch (error) {
      this.#state = 'failed'
      throw error
    }
    this.#state = 'active'
    this.#loadedAt = new Date()
    this.#loadMs = performance.now() - started
    return this
  }

  /** Counts a request in. */
  acquire (holder: Holder): void {
    this.#requests++
    this.#open.set(holder, Date.now())
  }

  /** Counts a request out; a second time is of no account. */
  release (holder: Holder): void {
    this.#open.delete(holder)
    if (this.#open.size === 0) this.#onIdle?.()
  }

  /** Takes no more requests, waits for those that run, at most `drainTimeout` ms, ends what is left and closes the tenant. */
  async retire (drainTimeout: number): Promise<DrainReport> {
    this.#state = 'draining'
    await this.#idle(drainTimeout)
    const forced = [...this.#open].map(describe)
    for (const holder of this.#open.keys()) holder.destroy()
    try {
      await this.scope.close()
    } finally {
      this.#state = 'closed'
    }
    return { generation: this.number, drained: forced.length === 0, forced }
  }

  statistics (): TenantStatistics {
    return {
      id: this.id,
      state: this.#state,
      generation: this.number,
      inFlight: this.#open.size,
      requests: this.#requests,
      loadedAt: this.#loadedAt,
      loadMs: this.#loadMs
    }
  }

  #introduce (app: FastifyInstance, contents: TenantContents): Tenant {
    this.#tenant = new Tenant({ id: this.id, app, generation: this, ...contents })
    this.scope.bind(app, this.#tenant)
    return this.#tenant
  }

  #idle (timeout: number): Promise<void> {
    if (this.#open.size === 0) return Promise.resolve()
    return new Promise(resolve => {
      const timer = setTimeout(resolve, timeout)
      this.#onIdle = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
}

function describe ([{ req }, since]: [Holder, number]): DrainReport['forced'][number] {
  return { method: req?.method ?? '', url: req?.originalUrl ?? req?.url ?? '', ms: Date.now() - since }
}
