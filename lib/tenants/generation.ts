import type { FastifyInstance } from 'fastify'
import { loadTenant } from '../loading/load-tenant.ts'
import { withDeadline } from './deadline.ts'
import { Lease } from './lease.ts'
import { Tenant } from './tenant.ts'
import type { Holder } from './lease.ts'
import type { LoadingOptions } from '../options.ts'
import type { Scope } from '../scope/scope.ts'
import type { TenantContents } from '../loading/load-tenant.ts'
import type { DrainReport, TenantDefinition, TenantState, TenantStatistics } from '../../types/index.ts'

/** Counts the uses of all tenants. */
export class UseClock {
  #uses = 0

  next (): number {
    return ++this.#uses
  }
}

/** One load of a tenant, from its first file to its last request. */
export class Generation {
  readonly id: string
  /** Counts the loads of this tenant, from 1. */
  readonly number: number
  readonly scope: Scope
  readonly #clock: UseClock
  #state: TenantState = 'loading'
  #tenant: Tenant | undefined
  #version: string | undefined
  #loadedAt: Date | null = null
  #loadMs = 0
  /** When the last request came, as a count of all requests: which of two tenants was used last is never a tie. */
  #lastUse = 0
  /** ms since the epoch */
  #lastUsedAt = Date.now()
  #requests = 0
  #errors = 0
  #inFlight = 0
  #lastLease: Lease | undefined
  #onIdle: (() => void) | undefined

  constructor (id: string, number: number, scope: Scope, clock: UseClock) {
    this.id = id
    this.#clock = clock
    this.#lastUse = clock.next()
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

  /** The version of the definition that it was loaded from; `undefined` when its source has none. */
  get version (): string | undefined {
    return this.#version
  }

  /** Whether it takes requests. */
  get active (): boolean {
    return this.#state === 'active'
  }

  /** Requests and jobs that run now. */
  get inFlight (): number {
    return this.#inFlight
  }

  get lastUse (): number {
    return this.#lastUse
  }

  /** ms since the epoch */
  get lastUsedAt (): number {
    return this.#lastUsedAt
  }

  /** How long the load took, in ms. */
  get loadMs (): number {
    return this.#loadMs
  }

  /** Loads the tenant. When that fails, what was opened is still open: call `close()`. */
  async load (definition: TenantDefinition, options: LoadingOptions): Promise<void> {
    const started = performance.now()
    this.#version = definition.version
    await this.scope.boot(`tenant ${this.id}`, instance => {
      return loadTenant(instance, definition, options, contents => this.#introduce(instance, contents))
    })
    this.#state = 'active'
    this.#loadedAt = new Date()
    this.#loadMs = performance.now() - started
  }

  /** Counts a request or a job in. */
  acquire (holder: Holder): Lease {
    this.#requests++
    this.#inFlight++
    this.#lastUse = this.#clock.next()
    this.#lastUsedAt = Date.now()
    const lease = new Lease(this, holder, this.#lastUsedAt)
    lease.previous = this.#lastLease
    if (this.#lastLease !== undefined) this.#lastLease.next = lease
    this.#lastLease = lease
    return lease
  }

  /** Counts a request or a job out: call `lease.release()`, which does so once. */
  release (lease: Lease): void {
    const { previous, next, holder } = lease
    if (previous !== undefined) previous.next = next
    if (next !== undefined) next.previous = previous
    else this.#lastLease = previous
    this.#lastUsedAt = Date.now()
    if (holder.statusCode !== undefined && holder.statusCode >= 500) this.#errors++
    if (--this.#inFlight === 0) this.#onIdle?.()
  }

  /** Takes no more requests, waits for those that run, at most `timeout` ms, and ends what is left. */
  async drain (timeout: number): Promise<DrainReport> {
    this.#state = 'draining'
    await this.#idle(timeout)
    const open = this.#leases()
    const forced = open.map(lease => lease.describe())
    for (const { holder } of open) holder.destroy()
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
      inFlight: this.#inFlight,
      requests: this.#requests,
      errors: this.#errors,
      loadedAt: this.#loadedAt,
      lastUsedAt: this.#requests === 0 ? null : new Date(this.#lastUsedAt),
      loadMs: this.#loadMs
    }
  }

  #introduce (app: FastifyInstance, contents: TenantContents): Tenant {
    this.#tenant = new Tenant({ id: this.id, app, generation: this, ...contents })
    this.scope.bind(app, this.#tenant)
    return this.#tenant
  }

  /** Those that are open, the first first. */
  #leases (): Lease[] {
    const leases: Lease[] = []
    for (let lease = this.#lastLease; lease !== undefined; lease = lease.previous) leases.unshift(lease)
    return leases
  }

  #idle (timeout: number): Promise<void> {
    if (this.#inFlight === 0) return Promise.resolve()
    return new Promise(resolve => {
      const timer = setTimeout(resolve, timeout)
      this.#onIdle = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
}
