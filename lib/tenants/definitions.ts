import type { FastifyBaseLogger } from 'fastify'
import { FST_TENANT_LOAD_FAILED, FST_TENANT_NOT_FOUND, FST_TENANT_SUSPENDED } from '../errors.ts'
import { withDeadline } from '../utils/deadline.ts'
import { retryAfter } from '../utils/retry-after.ts'
import type { ResolvedOptions } from '../options.ts'
import type { Outcome } from './lookup.ts'
import type { Refusals } from './refusals.ts'
import type { TenantDefinition } from '../../types/index.ts'

type SourceOptions = Pick<ResolvedOptions, 'source' | 'loadTimeout'>

/** Asks the source for the definitions of tenants, and records in `refusals` which tenants it does not know or has suspended. */
export class Definitions {
  readonly #options: SourceOptions
  readonly #refusals: Refusals
  readonly #log: FastifyBaseLogger
  /** The warning about a wrong id is logged only once, because clients choose the ids. */
  #warned = false

  constructor (options: SourceOptions, refusals: Refusals, log: FastifyBaseLogger) {
    this.#options = options
    this.#refusals = refusals
    this.#log = log
  }

  /** Whether the source can be asked for several ids at a time. */
  get takesMany (): boolean {
    return this.#options.source.getMany !== undefined
  }

  /**
   * The tenant's definition, suspended or not.
   * @throws {FST_TENANT_NOT_FOUND}
   * @throws {FST_TENANT_LOAD_FAILED} when the source fails
   */
  async get (id: string): Promise<TenantDefinition> {
    const { changes } = this.#refusals.unknown
    const definition = await this.#ask(id)
    if (definition !== null && definition !== undefined && this.#isOf(id, definition)) return definition
    throw this.#notFound(id, changes)
  }

  /**
   * The definition of a tenant that is about to be loaded.
   * @throws {FST_TENANT_NOT_FOUND}
   * @throws {FST_TENANT_SUSPENDED} when the source has suspended the tenant
   * @throws {FST_TENANT_LOAD_FAILED} when the source fails
   */
  async getForLoad (id: string): Promise<TenantDefinition> {
    const { changes } = this.#refusals.suspendedBySource
    const definition = await this.get(id)
    if (definition.suspended === true) throw this.#suspended(id, changes)
    return definition
  }

  /** Like `getForLoad()`, but returns the error instead of throwing it. */
  async outcome (id: string): Promise<Outcome> {
    try {
      return await this.getForLoad(id)
    } catch (error) {
      return error as Error
    }
  }

  /** Like `outcome()` for several tenants, in one call of the source. Returns `undefined` when that call fails. */
  async outcomes (ids: readonly string[]): Promise<ReadonlyMap<string, Outcome> | undefined> {
    const { unknown: { changes: unknownChanges }, suspendedBySource: { changes: suspendedChanges } } = this.#refusals
    const found = await this.#askForMany(ids)
    return found && new Map(ids.map(id => {
      const definition = found.get(id)
      if (definition === undefined || !this.#isOf(id, definition)) return [id, this.#notFound(id, unknownChanges)]
      return [id, definition.suspended === true ? this.#suspended(id, suspendedChanges) : definition]
    }))
  }

  /** @param changes `unknown.changes` when the source was asked. If it has grown, the tenant may have been added meanwhile. */
  #notFound (id: string, changes: number): Error {
    const { unknown } = this.#refusals
    if (changes === unknown.changes) unknown.add(id)
    return new FST_TENANT_NOT_FOUND(id)
  }

  /** @param changes `suspendedBySource.changes` when the source was asked. If it has grown, the tenant may have been resumed meanwhile. */
  #suspended (id: string, changes: number): Error {
    const { suspendedBySource } = this.#refusals
    if (changes === suspendedBySource.changes) suspendedBySource.add(id)
    return new FST_TENANT_SUSPENDED(id)
  }

  /** Checks the id, because a source that ignores case would otherwise make one tenant of each spelling. */
  #isOf (asked: string, { id }: TenantDefinition): boolean {
    if (id === asked) return true
    if (!this.#warned) this.#log.warn({ asked, answered: id }, 'the source of tenants returned another id than it was asked for: the tenant is treated as unknown')
    this.#warned = true
    return false
  }

  async #ask (id: string): Promise<TenantDefinition | null | undefined> {
    const { source, loadTimeout } = this.#options
    try {
      return await withDeadline((async () => source.get(id))(), loadTimeout, noAnswer)
    } catch (cause) {
      this.#log.error({ err: cause, tenantId: id }, 'the source of tenants failed')
      throw retryAfter(new FST_TENANT_LOAD_FAILED(id, { cause }), 1)
    }
  }

  async #askForMany (ids: readonly string[]): Promise<ReadonlyMap<string, TenantDefinition> | undefined> {
    const { source, loadTimeout } = this.#options
    try {
      return await withDeadline((async () => source.getMany?.(ids))(), loadTimeout, noAnswer)
    } catch (err) {
      this.#log.warn({ err, tenants: ids.length }, 'the source of tenants failed to look up several tenants at once: each is looked up alone')
      return undefined
    }
  }
}

function noAnswer (): Error {
  return new Error('The source of tenants does not answer')
}
