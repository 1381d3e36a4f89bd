import type { FastifyBaseLogger } from 'fastify'
import { FST_TENANT_CLOSED, FST_TENANT_LOAD_FAILED, FST_TENANT_NOT_FOUND } from '../errors.ts'
import { Generation } from './generation.ts'
import { Slot } from './slot.ts'
import type { ResolvedOptions } from '../options.ts'
import type { Scope } from '../scope/scope.ts'
import type { DrainReport, TenantDefinition } from '../../types/index.ts'

/** What the registry needs of its surroundings. */
export interface RegistryContext {
  options: ResolvedOptions
  log: FastifyBaseLogger
  /** Makes the scope of one generation, with nothing in it. */
  createScope: (id: string) => Scope
}

/** The tenants that are in memory, by id. */
export class TenantRegistry {
  readonly #context: RegistryContext
  readonly #slots = new Map<string, Slot>()
  #loads = 0
  #closing = false

  constructor (context: RegistryContext) {
    this.#context = context
  }

  /** Loads since the start, the failed ones included. */
  get loads (): number {
    return this.#loads
  }

  get slots (): Iterable<Slot> {
    return this.#slots.values()
  }

  /** The generation that takes the tenant's requests now; `undefined` when it is not loaded. */
  active (id: string): Generation | undefined {
    return this.#slots.get(id)?.current
  }

  /**
   * The tenant's generation, loaded when it is not.
   * @throws FST_TENANT_NOT_FOUND, FST_TENANT_LOAD_FAILED, FST_TENANT_CLOSED
   */
  async load (id: string): Promise<Generation> {
    if (this.#closing) throw new FST_TENANT_CLOSED(id)
    const slot = this.#slots.get(id) ?? this.#open(id)
    try {
      return await slot.load()
    } finally {
      this.#leave(slot)
    }
  }

  /** Unloads the tenant when its requests are over; `null` when it is not loaded. */
  async unload (id: string): Promise<DrainReport | null> {
    const slot = this.#slots.get(id)
    if (slot === undefined) return null
    try {
      return await slot.retire(this.#context.options.drainTimeout)
    } finally {
      this.#leave(slot)
    }
  }

  /** Unloads every tenant, then closes the source. What fails on the way is logged and stops nothing. */
  async close (): Promise<void> {
    this.#closing = true
    await Promise.all([...this.#slots.values()].map(slot => this.#end(slot)))
    await this.#context.options.source.close?.()
  }

  #open (id: string): Slot {
    const slot = new Slot(id, (id, number) => this.#build(id, number))
    this.#slots.set(id, slot)
    return slot
  }

  /** Forgets a slot that holds nothing, so that the map is no longer than what is in memory. */
  #leave (slot: Slot): void {
    if (slot.vacant) this.#slots.delete(slot.id)
  }

  async #build (id: string, number: number): Promise<Generation> {
    const definition = await this.#define(id)
    this.#loads++
    const generation = new Generation(id, number, this.#context.createScope(id))
    try {
      return await generation.load(definition, this.#context.options)
    } catch (cause) {
      throw this.#failed(id, cause)
    }
  }

  async #define (id: string): Promise<TenantDefinition> {
    let definition
    try {
      definition = await this.#context.options.source.get(id)
    } catch (cause) {
      throw this.#failed(id, cause)
    }
    if (definition === null) throw new FST_TENANT_NOT_FOUND(id)
    return definition
  }

  #failed (id: string, cause: unknown): Error {
    this.#context.log.error({ err: cause, tenantId: id }, 'tenant failed to load')
    return new FST_TENANT_LOAD_FAILED(id, { cause })
  }

  async #end (slot: Slot): Promise<void> {
    try {
      await slot.retire(this.#context.options.drainTimeout)
    } catch (err) {
      this.#context.log.error({ err, tenantId: slot.id }, 'tenant failed to close')
    }
    await slot.settled()
  }
}
