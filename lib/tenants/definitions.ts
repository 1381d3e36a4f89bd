import type { FastifyBaseLogger } from 'fastify'
import { FST_TENANT_LOAD_FAILED, FST_TENANT_NOT_FOUND, FST_TENANT_SUSPENDED } from '../errors.ts'
import { withDeadline } from './deadline.ts'
import { RefusedIds } from './refused-ids.ts'
import { retryAfter } from './retry-after.ts'
import type { ResolvedOptions } from '../options.ts'
import type { TenantDefinition } from '../../types/index.ts'

/** What the source says of tenants, and for a short while whom it refused. */
export class Definitions {
  /** The ids that the source does not know. */
  readonly unknown = new RefusedIds()
  readonly #suspended = new RefusedIds()
  readonly #options: Pick<ResolvedOptions, 'source' | 'loadTimeout'>
  readonly #log: FastifyBaseLogger

  constructor (options: Pick<ResolvedOptions, 'source' | 'loadTimeout'>, log: FastifyBaseLogger) {
    this.#options = options
    this.#log = log
  }

  /** Asks nobody. @throws FST_TENANT_NOT_FOUND, FST_TENANT_SUSPENDED when the source has refused the tenant lately */
  check (id: string): void {
    if (this.unknown.has(id)) throw new FST_TENANT_NOT_FOUND(id)
    if (this.#suspended.has(id)) throw new FST_TENANT_SUSPENDED(id)
  }

  /** Asks the source. @throws FST_TENANT_NOT_FOUND, FST_TENANT_LOAD_FAILED when the source fails */
  async get (id: string): Promise<TenantDefinition> {
    const { age } = this.unknown
    const definition = await this.#ask(id)
    if (definition !== null && definition !== undefined) return definition
    // What the source has been told since may be this tenant.
    if (age === this.unknown.age) this.unknown.add(id)
    throw new FST_TENANT_NOT_FOUND(id)
  }

  /** The same for a tenant that is to be loaded. @throws FST_TENANT_SUSPENDED too */
  async getForLoad (id: string): Promise<TenantDefinition> {
    const { age } = this.#suspended
    const definition = await this.get(id)
    if (definition.suspended !== true) return definition
    // The source may have been told since that the tenant is resumed.
    if (age === this.#suspended.age) this.#suspended.add(id)
    throw new FST_TENANT_SUSPENDED(id)
  }

  /** To be called when the tenant has been loaded: the source has it. */
  forget (id: string): void {
    this.unknown.forget(id)
    this.#suspended.forget(id)
  }

  /** To be called when this tenant may have changed. */
  changed (id: string): void {
    this.unknown.changed(id)
    this.#suspended.changed(id)
  }

  /** To be called when any tenant may have changed. */
  clear (): void {
    this.unknown.clear()
    this.#suspended.clear()
  }

  async #ask (id: string): Promise<TenantDefinition | null | undefined> {
    const { source, loadTimeout } = this.#options
    try {
      return await withDeadline(Promise.resolve(source.get(id)), loadTimeout, () => new Error('The source of tenants does not answer'))
    } catch (cause) {
      this.#log.error({ err: cause, tenantId: id }, 'tenant source failed')
      throw retryAfter(new FST_TENANT_LOAD_FAILED(id, { cause }), 1)
    }
  }
}
