import { debug } from '../utils/debug.ts'
import type { Generation } from './generation.ts'
import type { DrainReport, TenantDefinition } from '../../types/index.ts'

/** The instructions for one build. */
export interface Build {
  number: number
  /** Whether modules are read from disk again. */
  freshCode: boolean
  /** `undefined` if the source has not been asked yet. */
  definition: TenantDefinition | undefined
}

/** The functions that a slot calls. */
export interface SlotFunctions {
  /** Builds and loads a generation. */
  build (slot: Slot, build: Build): Promise<Generation>
  /** Drains and closes a generation. Never rejects. */
  retire (generation: Generation): Promise<DrainReport>
  /** Called when a generation is closed. */
  onClosed (slot: Slot): void
}

/** The result of a reload: the new generation serves, the old one may still drain. */
export interface Swap {
  generation: Generation
  /** Resolves when the old generation is closed; `null` when there was none. */
  drain: Promise<DrainReport | null>
}

/** One tenant's place in memory: the generation that takes requests, the one that is being built, and those that drain. */
export class Slot {
  readonly id: string
  /** The generation that takes requests. A swap is one assignment, so no request meets a half-built tenant. */
  current: Generation | undefined
  /** Whether the tenant has one of the `maxActive` places: from the start of its load until it is taken out of service. */
  hasPlace = false
  /** How many places are held by generations out of service, until they are closed. A generation replaced by a reload passes its place on. */
  drainingPlaces = 0
  /** The error of the last load or reload; `undefined` when it succeeded. */
  lastError: unknown
  /** How many requests and jobs wait for the tenant to be loaded. */
  waiting = 0
  readonly #functions: SlotFunctions
  readonly #retiring = new Set<Promise<DrainReport>>()
  #building: Promise<Swap> | undefined
  #next: Promise<Swap> | undefined
  #builds = 0
  /** The last build that had been started or asked for when the tenant was last taken out of service. It and those before it never serve. */
  #lastDiscarded = 0
  /** Whether the next build reads modules from disk again. */
  #freshCode = false

  constructor (id: string, functions: SlotFunctions) {
    this.id = id
    this.#functions = functions
  }

  /** Whether a generation is being built. */
  get building (): boolean {
    return this.#building !== undefined
  }

  /** Whether the tenant is loaded or being loaded. */
  get loadedOrLoading (): boolean {
    return this.current !== undefined || this.building
  }

  /** How many generations drain or close. */
  get draining (): number {
    return this.#retiring.size
  }

  /** Whether nothing of the tenant is in memory, and nobody waits for it. */
  get isEmpty (): boolean {
    return !this.loadedOrLoading && this.#next === undefined && this.draining === 0 && this.waiting === 0
  }

  /** The current generation. Builds it if there is none, once for all callers. */
  async load (definition?: TenantDefinition): Promise<Generation> {
    if (this.current !== undefined) return this.current
    const { generation } = await (this.#building ?? this.#build(definition))
    return generation
  }

  /**
   * Builds a generation beside the current one and swaps the two. If the build fails, the current one keeps serving. All calls during a
   * build share one more build, which starts later and sees all changes until then.
   */
  reload (freshCode: boolean): Promise<Swap> {
    this.#freshCode ||= freshCode
    if (this.#building === undefined) return this.#build()
    this.#next ??= this.#afterBuilding().then(() => {
      this.#next = undefined
      return this.reload(false)
    })
    return this.#next
  }

  /** Takes the tenant out of service at once. A generation that is being built never serves: it is closed after its build. Resolves to `null` when there is no generation. */
  async clear (): Promise<DrainReport | null> {
    const ending = this.#take()
    const last = this.#next ?? this.#building
    if (last === undefined) return ending ?? null
    this.#lastDiscarded = this.#builds + (this.#next === undefined ? 0 : 1)
    // The callers of load() and reload() handle a failure.
    const [built] = await Promise.allSettled([last])
    return built.status === 'fulfilled' ? built.value.drain : ending ?? null
  }

  /** Resolves when all generations that drain are closed. */
  async drained (): Promise<void> {
    await Promise.all(this.#retiring)
  }

  #take (): Promise<DrainReport> | undefined {
    const { current } = this
    this.current = undefined
    // A generation that is being built keeps the place.
    if (!this.building) this.hasPlace = false
    return current && this.#retire(current, this.building ? 0 : 1)
  }

  #build (definition?: TenantDefinition): Promise<Swap> {
    this.#building = this.#swap(definition).finally(() => { this.#building = undefined })
    return this.#building
  }

  async #swap (definition: TenantDefinition | undefined): Promise<Swap> {
    const freshCode = this.#freshCode
    this.#freshCode = false
    const number = ++this.#builds
    const generation = await this.#functions.build(this, { number, freshCode, definition })
    if (number <= this.#lastDiscarded) {
      this.hasPlace = false
      return { generation, drain: this.#retire(generation, 1) }
    }
    const old = this.current
    this.current = generation
    debug?.("tenant '%s', generation %d: swap, replaces %s", this.id, number, old === undefined ? 'none' : `generation ${old.number}`)
    return { generation, drain: old === undefined ? Promise.resolve(null) : this.#retire(old) }
  }

  async #afterBuilding (): Promise<void> {
    // The callers of that build handle a failure.
    await Promise.allSettled([this.#building])
  }

  /** @param places how many places become free when the generation is closed */
  async #retire (generation: Generation, places = 0): Promise<DrainReport> {
    this.drainingPlaces += places
    const retiring = this.#functions.retire(generation)
    this.#retiring.add(retiring)
    const report = await retiring
    this.#retiring.delete(retiring)
    this.drainingPlaces -= places
    this.#functions.onClosed(this)
    return report
  }
}
