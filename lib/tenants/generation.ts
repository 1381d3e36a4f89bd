import type { FastifyInstance } from 'fastify'
import { LoadProgress } from '../loading/load-progress.ts'
import { loadTenant } from '../loading/load-tenant.ts'
import { withDeadline } from '../utils/deadline.ts'
import { Leases } from '../leases/leases.ts'
import { Tenant } from './tenant.ts'
import type { UseCounter } from '../leases/use-counter.ts'
import type { LoadingOptions, TenantContents } from '../loading/load-tenant.ts'
import type { Scope } from '../scope/scope.ts'
import type { DrainReport, TenantDefinition, TenantState, TenantStatistics } from '../../types/index.ts'

/** One loaded version of a tenant, from the start of its load until it is closed. A reload makes a new generation. */
export class Generation {
  readonly id: string
  /** The first generation of a tenant has number 1. */
  readonly number: number
  readonly scope: Scope
  readonly leases: Leases<Generation>
  /** How long a request may go on after its client has left, in ms. */
  readonly drainTimeout: number
  #state: TenantState = 'loading'
  #tenant: Tenant | undefined
  #version: string | undefined
  #loadedAt: Date | null = null
  #loadMs = 0

  constructor (id: string, number: number, scope: Scope, uses: UseCounter, drainTimeout: number) {
    this.id = id
    this.number = number
    this.scope = scope
    this.leases = new Leases(this, uses)
    this.drainTimeout = drainTimeout
  }

  get state (): TenantState {
    return this.#state
  }

  /** The `Tenant` that requests see. Set as soon as its config is read. */
  get tenant (): Tenant {
    return this.#tenant as Tenant
  }

  /** The version of its definition; `undefined` when the source has no versions. */
  get version (): string | undefined {
    return this.#version
  }

  /** Whether it takes requests. */
  get active (): boolean {
    return this.#state === 'active'
  }

  /** The duration of the load, in ms. */
  get loadMs (): number {
    return this.#loadMs
  }

  /** Loads the tenant. If this rejects, call `close()`: parts of the tenant may be open. */
  async load (definition: TenantDefinition, options: LoadingOptions): Promise<void> {
    const started = performance.now()
    this.#version = definition.version
    const progress = new LoadProgress()
    const boot = this.scope.boot(`tenant ${this.id}`, instance => {
      return loadTenant(instance, definition, options, contents => this.#createTenant(instance, contents), progress)
    })
    await boot.catch(error => { throw progress.explain(error) })
    this.#state = 'active'
    this.#loadedAt = new Date()
    this.#loadMs = performance.now() - started
  }

  /** Stops taking requests, waits at most `timeout` ms for those that run, and then ends the rest by force. */
  async drain (timeout: number): Promise<DrainReport> {
    this.#state = 'draining'
    await this.leases.idle(timeout)
    const left = this.leases.list()
    const forced = left.map(lease => lease.describe())
    for (const lease of left) {
      lease.holder.destroy()
      lease.release()
    }
    return { generation: this.number, drained: forced.length === 0, forced }
  }

  /** Runs the tenant's onClose hooks, for at most `timeout` ms. */
  async close (timeout: number): Promise<void> {
    try {
      await withDeadline(this.scope.close(), timeout, () => new Error('An onClose hook of the tenant took too long'))
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

  #createTenant (app: FastifyInstance, contents: TenantContents): Tenant {
    this.#tenant = new Tenant({ id: this.id, app, generation: this, ...contents })
    this.scope.bind(app, this.#tenant)
    return this.#tenant
  }
}
