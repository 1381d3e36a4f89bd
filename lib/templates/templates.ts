import { FST_TENANT_LOAD_FAILED, FST_TENANT_TEMPLATE_FAILED } from '../errors.ts'
import { Slot } from '../generations/slot.ts'
import { asError } from '../utils/as-error.ts'
import { templateKey } from './template-loader.ts'
import type { LoadContext } from '../generations/load-context.ts'
import type { Swap } from '../generations/slot.ts'
import type { TemplateGeneration } from './template-generation.ts'
import type { TemplateLoader, TemplateSlot } from './template-loader.ts'
import type { TemplateStatistics } from '../../types/index.ts'

/** The templates in memory. Each is loaded when a tenant first names it, and stays until the app closes. */
export class Templates {
  readonly #loader: TemplateLoader
  readonly #loads: LoadContext
  /** At most one for each template that exists. */
  readonly #slots = new Map<string, TemplateSlot>()

  constructor (loader: TemplateLoader, loads: LoadContext) {
    this.#loader = loader
    this.#loads = loads
  }

  /** Whether the template is loaded or failed to load. */
  isKnown (name: string): boolean {
    return this.#slots.has(name)
  }

  /**
   * Returns the template's generation, loaded if necessary, and keeps it open until `release()`.
   * @throws {FST_TENANT_TEMPLATE_NOT_FOUND}
   * @throws {FST_TENANT_TEMPLATE_FAILED}
   * @throws {FST_TENANT_LOAD_FAILED} when the template's own load waits for this call
   */
  async use (name: string): Promise<TemplateGeneration> {
    const slot = await this.#slotOf(name)
    if (slot.current !== undefined) return slot.current.acquire()
    const error = this.#loader.pausedError(name)
    if (error !== undefined) throw new FST_TENANT_TEMPLATE_FAILED(name, { cause: error })
    const generation = await this.#waitFor(name, () => slot.load())
    return generation.acquire()
  }

  /**
   * Builds a new generation beside the current one and swaps the two. Throws the errors of `use()`; the current one then stays.
   * @param freshCode whether modules are read from disk again
   */
  async reload (name: string, freshCode: boolean): Promise<Swap<TemplateGeneration, null>> {
    const slot = await this.#slotOf(name)
    return this.#waitFor(name, () => slot.reload(freshCode))
  }

  /** Call this when the app listens. */
  onListen (): void {
    for (const { current } of this.#slots.values()) current?.scope.onListen()
  }

  /** Runs the preClose hooks of all templates. Never rejects. */
  async preClose (): Promise<void> {
    await Promise.all([...this.#slots.values()].map(async ({ current }) => { if (current !== undefined) await this.#loader.preClose(current) }))
  }

  /** Closes all templates. Call this when all tenants are closed. */
  async close (): Promise<void> {
    this.#loader.close()
    await Promise.all([...this.#slots.values()].map(async slot => {
      await slot.clear()
      await slot.drained()
    }))
  }

  /** The templates that tenants have named, sorted by name. */
  statistics (): TemplateStatistics[] {
    return [...this.#slots.keys()].sort().map(name => statisticsOf(this.#slots.get(name) as TemplateSlot))
  }

  async #slotOf (name: string): Promise<TemplateSlot> {
    const known = this.#slots.get(name)
    if (known !== undefined) return known
    // Only names of templates that exist get a slot: configs may name any number of others.
    await this.#loader.definitionOf(name)
    const slot = this.#slots.get(name) ?? new Slot(name, this.#loader)
    this.#slots.set(name, slot)
    return slot
  }

  /** A load of the template that asks for a tenant on the template would wait for itself. */
  async #waitFor<Result> (name: string, load: () => Promise<Result>): Promise<Result> {
    const key = templateKey(name)
    if (this.#loads.waitsForCaller(key)) throw new FST_TENANT_LOAD_FAILED(name, { cause: new Error('Loading this template waits for itself') })
    return this.#loads.wait(key, load)
  }
}

function statisticsOf ({ id: name, current, building, draining, lastError }: TemplateSlot): TemplateStatistics {
  return {
    name,
    state: current?.state ?? (building ? 'loading' : 'failed'),
    generation: current?.number ?? 0,
    tenants: current?.uses ?? 0,
    draining,
    loadedAt: current?.loadedAt ?? null,
    loadMs: current?.loadMs ?? null,
    lastError: lastError === undefined ? null : asError(lastError).message
  }
}
