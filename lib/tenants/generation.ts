import type { FastifyInstance } from 'fastify'
import { LoadProgress } from '../loading/load-progress.ts'
import { loadTenant } from '../loading/load-tenant.ts'
import { withDeadline } from '../utils/deadline.ts'
import { Leases } from '../leases/leases.ts'
import { Tenant } from './tenant.ts'
import type { UseClock } from '../leases/use-clock.ts'
import type { LoadingOptions, TenantContents } from '../loading/load-tenant.ts'
import type { Scope } from '../scope/scope.ts'
import type { DrainReport, TenantDefinition, TenantState, TenantStatistics } from '../../types/index.ts'

/** One load of a tenant, from its first file to its last request. */
export class Generation {
  readonly id: string
  /** Counts the loads of this tenant, from 1. */
  readonly number: number
  readonly scope: Scope
  readonly leases: Leases<Generation>
  /** The longest that a request goes on whose client has left, in ms. */
  readonly drainTimeout: number
  #state: TenantState = 'loading'
  #tenant: Tenant | undefined
  #version: string | undefined
  #loadedAt: Date | null = null
  #loadMs = 0

  constructor (id: string, number: number, scope: Scope, clock: UseClock, drainTimeout: number) {
    this.id = id
    this.number = number
    this.scope = scope
    this.leases = new Leases(this, clock)
    this.drainTimeout = drainTimeout
  }

  get state (): TenantState {
    return this.#state
  }

  /** The tenant that this generation is. There from the moment its config is read. */
  get tenant (): Tenant {
    return this.#tenant as Tenant
  }

  /** The version of the definition that it was loaded from; `undefined` when its source has none. */
  get version (): string | undefined {
    return this.#version
  }

  /** Whether it takes requests. */
  get active (): boolean {
    return this.#state === 'active'
  }

  /** How long the load took, in ms. */
  get loadMs (): number {
    return this.#loadMs
  }

  /** Loads the tenant. When that fails, what was opened is still open: call `close()`. */
  async load (definition: TenantDefinition, options: LoadingOptions): Promise<void> {
    const started = performance.now()
    this.#version = definition.version
    const progress = new LoadProgress()
    const boot = this.scope.boot(`tenant ${this.id}`, instance => {
      return loadTenant(instance, definition, options, contents => this.#introduce(instance, contents), progress)
    })
    await boot.catch(error => { throw progress.explain(error) })
    this.#state = 'active'
    this.#loadedAt = new Date()
    this.#loadMs = performance.now() - started
  }

  /** Takes no more requests, waits for those that run, at most `timeout` ms, and ends what is left. */
  async drain (timeout: number): Promise<DrainReport> {
    this.#state = 'draining'
    await this.leases.idle(timeout)
    const open = this.leases.list()
    const forced = open.map(lease => lease.describe())
    for (const lease of open) {
      lease.holder.destroy()
      lease.release()
    }
    return { generation: this.number, drained: forced.length === 0, forced }
  }

  /** Closes what the tenant opened: its onClose hooks run, for at most `timeout` ms. */
  async close (timeout: number): Promise<void> {
    try {
      await withDeadline(this.scope.close(), timeout, () => new Error('A hook of the tenant took too long to close'))
    } finally {
      this.#state = this.#state === 'loading' ? 'failed' : 'closed'
    }
  }

  statistics (): Omit<TenantStatistics, 'lastError'> {
    return {
      id: this.id,
      state: this.#state,
      generation: this.number,
      ...this.leases.statistics(),
      loadedAt: this.#loadedAt,
      loadMs: this.#loadMs
    }
  }

  #introduce (app: FastifyInstance, contents: TenantContents): Tenant {
    this.#tenant = new Tenant({ id: this.id, app, generation: this, ...contents })
    this.scope.bind(app, this.#tenant)
    return this.#tenant
  }
}
