import type { FastifyBaseLogger } from 'fastify'
import { FST_TENANT_LOAD_FAILED, FST_TENANT_NOT_FOUND, FST_TENANT_SUSPENDED } from '../errors.ts'
import { withDeadline } from '../utils/deadline.ts'
import { NegativeCache } from './negative-cache.ts'
import { retryAfter } from '../utils/retry-after.ts'
import type { ResolvedOptions } from '../options.ts'
import type { Outcome } from './question.ts'
import type { TenantDefinition } from '../../types/index.ts'

/** What the source says of tenants, and for a short while whom it refused. */
export class Definitions {
  /** The ids that the source does not know. */
  readonly unknown = new NegativeCache()
  readonly #suspended = new NegativeCache()
  readonly #options: Pick<ResolvedOptions, 'source' | 'loadTimeout'>
  readonly #log: FastifyBaseLogger
  /** Clients choose what is asked for: one line says it. */
  #warned = false

  constructor (options: Pick<ResolvedOptions, 'source' | 'loadTimeout'>, log: FastifyBaseLogger) {
    this.#options = options
    this.#log = log
  }

  /** Whether the source can be asked for several ids at a time. */
  get takesMany (): boolean {
    return this.#options.source.getMany !== undefined
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
    if (definition !== null && definition !== undefined && this.#isOf(id, definition)) return definition
    throw this.#notFound(id, age)
  }

  /** The same for a tenant that is to be loaded. @throws FST_TENANT_SUSPENDED too */
  async getForLoad (id: string): Promise<TenantDefinition> {
    const { age } = this.#suspended
    const definition = await this.get(id)
    if (definition.suspended === true) throw this.#refused(id, age)
    return definition
  }

  /** The same, with the error instead of throwing it. */
  async outcome (id: string): Promise<Outcome> {
    try {
      return await this.getForLoad(id)
    } catch (error) {
      return error as Error
    }
  }

  /** The same for several tenants, by one call of the source; `undefined` when that fails. */
  async outcomes (ids: readonly string[]): Promise<ReadonlyMap<string, Outcome> | undefined> {
    const ages = { unknown: this.unknown.age, suspended: this.#suspended.age }
    const found = await this.#askForMany(ids)
    return found && new Map(ids.map(id => {
      const definition = found.get(id)
      if (definition === undefined || !this.#isOf(id, definition)) return [id, this.#notFound(id, ages.unknown)]
      return [id, definition.suspended === true ? this.#refused(id, ages.suspended) : definition]
    }))
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

  /** @param age that of `unknown` when the source was asked: what it has been told since may be this tenant */
  #notFound (id: string, age: number): Error {
    if (age === this.unknown.age) this.unknown.add(id)
    return new FST_TENANT_NOT_FOUND(id)
  }

  /** @param age that of `#suspended` when the source was asked: it may have been told since that the tenant is resumed */
  #refused (id: string, age: number): Error {
    if (age === this.#suspended.age) this.#suspended.add(id)
    return new FST_TENANT_SUSPENDED(id)
  }

  /** A source that ignores case would make a tenant of each spelling. */
  #isOf (asked: string, { id }: TenantDefinition): boolean {
    if (id === asked) return true
    if (!this.#warned) this.#log.warn({ asked, answered: id }, 'the source of tenants answered with another id than it was asked for: such tenants are unknown')
    this.#warned = true
    return false
  }

  async #ask (id: string): Promise<TenantDefinition | null | undefined> {
    const { source, loadTimeout } = this.#options
    try {
      return await withDeadline((async () => source.get(id))(), loadTimeout, noAnswer)
    } catch (cause) {
      this.#log.error({ err: cause, tenantId: id }, 'tenant source failed')
      throw retryAfter(new FST_TENANT_LOAD_FAILED(id, { cause }), 1)
    }
  }

  async #askForMany (ids: readonly string[]): Promise<ReadonlyMap<string, TenantDefinition> | undefined> {
    const { source, loadTimeout } = this.#options
    try {
      return await withDeadline((async () => source.getMany?.(ids))(), loadTimeout, noAnswer)
    } catch (err) {
      this.#log.warn({ err, tenants: ids.length }, 'tenant source failed for several tenants at once: each is looked up by itself')
      return undefined
    }
  }
}

function noAnswer (): Error {
  return new Error('The source of tenants does not answer')
}
