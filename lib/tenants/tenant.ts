import type { FastifyInstance } from 'fastify'
import { FST_TENANT_SERVICE_NOT_FOUND } from '../errors.ts'
import type * as types from '../../types/index.ts'
import type { TenantConfig, TenantServices, TenantState } from '../../types/index.ts'

/** The parts of a `Tenant`. */
export interface TenantParts {
  id: string
  name: string
  config: TenantConfig
  /** The name of its template. */
  template: string | null
  /** Returns the instance that answers its requests. Called once, when it is first read. */
  appOf: (tenant: Tenant) => FastifyInstance
  services: ReadonlyMap<string, unknown>
  generation: { readonly number: number, readonly state: TenantState }
}

/** One generation of a tenant, as requests, jobs and the tenant's own code see it. */
export class Tenant implements types.Tenant {
  /** The id that requests name. */
  readonly id: string
  /** The display name. Default: the id. */
  readonly name: string
  /** The tenant's config, checked against `configSchema`. */
  readonly config: TenantConfig
  /** The name of its template. `null` if it has none. */
  readonly template: string | null
  readonly #appOf: TenantParts['appOf']
  #app: FastifyInstance | undefined
  readonly #services: ReadonlyMap<string, unknown>
  readonly #generation: TenantParts['generation']

  constructor (parts: TenantParts) {
    this.id = parts.id
    this.name = parts.name
    this.config = parts.config
    this.template = parts.template
    this.#appOf = parts.appOf
    this.#services = parts.services
    this.#generation = parts.generation
  }

  /** The Fastify instance that answers its requests: its own, that of its template, or the app. */
  get app (): FastifyInstance {
    this.#app ??= this.#appOf(this)
    return this.#app
  }

  /** The number of this generation. The first has number 1. */
  get generation (): number {
    return this.#generation.number
  }

  /** The state of this generation. */
  get state (): TenantState {
    return this.#generation.state
  }

  /** Whether this generation takes requests. */
  get active (): boolean {
    return this.state === 'active'
  }

  /**
   * The service with this name.
   * @throws {FST_TENANT_SERVICE_NOT_FOUND} when there is none; the message lists the services that exist
   */
  getService<Name extends keyof TenantServices> (name: Name): TenantServices[Name]
  getService<Service = unknown> (name: string): Service
  getService (name: string): unknown {
    const service = this.#services.get(name)
    if (service === undefined && !this.#services.has(name)) {
      throw new FST_TENANT_SERVICE_NOT_FOUND(name, this.listServices().join(', ') || 'none')
    }
    return service
  }

  /** The names of the tenant's services, sorted. */
  listServices (): string[] {
    return [...this.#services.keys()].sort()
  }

  toString (): string {
    return this.id
  }

  /** The properties that may be shown. The config may hold secrets and is left out. */
  toJSON (): { id: string, name: string, state: TenantState, generation: number, services: string[] } {
    return { id: this.id, name: this.name, state: this.state, generation: this.generation, services: this.listServices() }
  }
}
