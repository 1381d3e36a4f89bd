import { Leases } from '../leases/leases.ts'
import { disposeServices, NO_SERVICES } from '../loading/services.ts'
import { withDeadline } from '../utils/deadline.ts'
import { Tenant } from './tenant.ts'
import type { Place } from './places.ts'
import type { TenantParts } from './tenant.ts'
import type { Scope } from '../scope/scope.ts'
import type { TenantRoutes } from '../scope/tenant-routes.ts'
import type { TemplateGeneration } from '../templates/template-generation.ts'
import type { DrainReport, TenantState, TenantStatistics } from '../../types/index.ts'

/** The parts of a generation. */
export interface GenerationParts {
  id: string
  number: number
  /** `undefined` if the tenant has no code of its own. */
  scope: Scope | undefined
  /** `undefined` if the tenant has no template. */
  template: TemplateGeneration | undefined
  routes: TenantRoutes
  place: Place<Generation>
  /** The version of its definition; `undefined` when the source has no versions. */
  version: string | undefined
  drainTimeout: number
}

/** One loaded version of a tenant, from the start of its load until it is closed. A reload makes a new generation. */
export class Generation {
  readonly id: string
  /** The first generation of a tenant has number 1. */
  readonly number: number
  readonly scope: Scope | undefined
  readonly template: TemplateGeneration | undefined
  /** Where the routes of its requests are looked up. */
  readonly routes: TenantRoutes
  readonly place: Place<Generation>
  readonly version: string | undefined
  readonly leases: Leases<Generation>
  /** How long a request may go on after its client has left, in ms. */
  readonly drainTimeout: number
  previousIdle: this | undefined
  nextIdle: this | undefined
  isListed = false
  #state: TenantState = 'loading'
  #tenant: Tenant | undefined
  #services: ReadonlyMap<string, unknown> = NO_SERVICES
  /** By `Date.now()`. */
  #loadedAt = 0
  #loadMs = 0

  constructor (parts: GenerationParts) {
    this.id = parts.id
    this.number = parts.number
    this.scope = parts.scope
    this.template = parts.template
    this.routes = parts.routes
    this.place = parts.place
    this.version = parts.version
    this.drainTimeout = parts.drainTimeout
    this.leases = new Leases<Generation>(this)
  }

  get state (): TenantState {
    return this.#state
  }

  /** The `Tenant` that requests see. Set as soon as its config is read. */
  get tenant (): Tenant {
    return this.#tenant as Tenant
  }

  /** Whether it takes requests. */
  get active (): boolean {
    return this.#state === 'active'
  }

  /** The duration of the load, in ms. */
  get loadMs (): number {
    return this.#loadMs
  }

  /** Creates its `Tenant`. */
  createTenant (parts: Omit<TenantParts, 'id' | 'generation' | 'template'>): Tenant {
    this.#services = parts.services
    this.#tenant = new Tenant({ id: this.id, generation: this, template: this.template?.name ?? null, ...parts })
    return this.#tenant
  }

  /** Call this when it is loaded. @param started when the load began, by `performance.now()` */
  activate (started: number): void {
    this.#state = 'active'
    this.#loadedAt = Date.now()
    this.#loadMs = performance.now() - started
    this.onIdle()
  }

  onBusy (): void {
    this.place.places.idle.remove(this)
  }

  onIdle (): void {
    if (this.active) this.place.places.idle.add(this)
  }

  /** Takes it out of service. */
  end (): void {
    this.#state = 'draining'
    this.place.places.idle.remove(this)
    this.place.end()
  }

  /** Waits at most `timeout` ms for the requests that run, and then ends the rest by force. */
  async drain (timeout: number): Promise<DrainReport> {
    await this.leases.idle(timeout)
    const left = this.leases.list()
    const forced = left.map(lease => lease.describe())
    for (const lease of left) {
      lease.holder.destroy()
      lease.release()
    }
    return { generation: this.number, drained: forced.length === 0, forced }
  }

  /** Runs the tenant's onClose hooks and disposes of its services, for at most `timeout` ms, and lets go of its template. */
  async close (timeout: number): Promise<void> {
    try {
      if (this.#isOpen) await withDeadline(this.#closeCode(), timeout, () => new Error('An onClose hook or the disposal of a service of the tenant took too long'))
    } finally {
      this.#state = this.#state === 'loading' ? 'failed' : 'closed'
      this.template?.release()
    }
  }

  /** Whether it has something to close. Most tenants have only a config. */
  get #isOpen (): boolean {
    return this.scope !== undefined || this.#services.size > 0
  }

  async #closeCode (): Promise<void> {
    try {
      await this.scope?.close()
    } finally {
      await disposeServices(this.#services)
    }
  }

  statistics (): Omit<TenantStatistics, 'lastError'> {
    return {
      id: this.id,
      template: this.template?.name ?? null,
      state: this.#state,
      generation: this.number,
      ...this.leases.statistics(),
      loadedAt: new Date(this.#loadedAt),
      loadMs: this.#loadMs
    }
  }
}
