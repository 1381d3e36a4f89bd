import type { Generation } from './generation.ts'
import type { DrainReport, TenantDefinition } from '../../types/index.ts'

/** What a generation is built from. */
export interface Build {
  number: number
  /** Whether modules are read afresh. */
  freshCode: boolean
  /** What the source has said of the tenant; `undefined` when it is to be asked. */
  definition: TenantDefinition | undefined
}

/** Builds a generation and loads it. */
export type BuildGeneration = (slot: Slot, build: Build) => Promise<Generation>

/** Takes a generation out of service. Never rejects. */
export type RetireGeneration = (generation: Generation) => Promise<DrainReport>

/** What a reload answers with: the new generation serves, the old one may still be at its last requests. */
export interface Swap {
  generation: Generation
  /** Resolves when the old generation is closed; `null` when there was none. */
  drain: Promise<DrainReport | null>
}

/** One tenant's place: the generation that takes its requests, the one that is being built, and those that end. */
export class Slot {
  readonly id: string
  /** Takes the requests. Replaced in one assignment, so no request meets a tenant that is half built. */
  current: Generation | undefined
  /** Whether the tenant has one of the places for loaded tenants: from the start of its load until it is taken out of service. */
  resident = false
  /** How many generations were taken out of service and have not ended: each has a place until then. */
  leaving = 0
  /** What the last load or reload failed with. */
  lastError: unknown
  /** Requests and jobs that wait for the tenant to be loaded. */
  waiting = 0
  readonly #make: BuildGeneration
  readonly #retire: RetireGeneration
  readonly #onEnd: (slot: Slot) => void
  readonly #retiring = new Set<Promise<DrainReport>>()
  #building: Promise<Swap> | undefined
  #next: Promise<Swap> | undefined
  #builds = 0
  /** The number of the last build that was on its way when the tenant was taken out of service. */
  #unwanted = 0
  /** Whether the next generation reads its modules afresh. */
  #freshCode = false

  /** @param onEnd called when a generation is closed */
  constructor (id: string, build: BuildGeneration, retire: RetireGeneration, onEnd: (slot: Slot) => void) {
    this.id = id
    this.#onEnd = onEnd
    this.#make = build
    this.#retire = retire
  }

  /** Whether a generation is being built. */
  get building (): boolean {
    return this.#building !== undefined
  }

  /** Whether there is a generation, or one is being built. */
  get wanted (): boolean {
    return this.current !== undefined || this.building
  }

  /** How many generations end. */
  get draining (): number {
    return this.#retiring.size
  }

  /** Whether nothing of the tenant is left in memory. */
  get vacant (): boolean {
    return !this.wanted && this.#next === undefined && this.draining === 0 && this.waiting === 0
  }

  /** The current generation, built of this definition when there is none: once, however many ask. */
  async load (definition?: TenantDefinition): Promise<Generation> {
    if (this.current !== undefined) return this.current
    const { generation } = await (this.#building ?? this.#build(definition))
    return generation
  }

  /**
   * Builds a generation beside the current one and swaps them. Of those who ask while one is built, all wait for one more, which
   * sees what has changed until it starts. When it fails, the current one keeps serving.
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

  /** Takes the tenant out of service at once. What is on its way takes no requests, and ends as soon as it is built; `null` when there is nothing to end. */
  async clear (): Promise<DrainReport | null> {
    const ending = this.#take()
    const last = this.#next ?? this.#building
    if (last === undefined) return ending ?? null
    this.#unwanted = this.#builds + (this.#next === undefined ? 0 : 1)
    // Its failure is told to those who asked for it.
    const [built] = await Promise.allSettled([last])
    return built.status === 'fulfilled' ? built.value.drain : ending ?? null
  }

  /** Waits for the generations that end. */
  async settled (): Promise<void> {
    await Promise.all(this.#retiring)
  }

  #take (): Promise<DrainReport> | undefined {
    const { current } = this
    this.current = undefined
    // What is being built has the place until it is taken too.
    if (!this.building) this.resident = false
    return current && this.#end(current, this.building ? 0 : 1)
  }

  #build (definition?: TenantDefinition): Promise<Swap> {
    this.#building = this.#swap(definition).finally(() => { this.#building = undefined })
    return this.#building
  }

  async #swap (definition: TenantDefinition | undefined): Promise<Swap> {
    const freshCode = this.#freshCode
    this.#freshCode = false
    const number = ++this.#builds
    const generation = await this.#make(this, { number, freshCode, definition })
    if (number <= this.#unwanted) {
      this.resident = false
      return { generation, drain: this.#end(generation, 1) }
    }
    const old = this.current
    this.current = generation
    return { generation, drain: old === undefined ? Promise.resolve(null) : this.#end(old) }
  }

  async #afterBuilding (): Promise<void> {
    // Its failure is told to those who asked for it.
    await Promise.allSettled([this.#building])
  }

  /** @param places how many places come free when it is closed */
  async #end (generation: Generation, places = 0): Promise<DrainReport> {
    this.leaving += places
    const retiring = this.#retire(generation)
    this.#retiring.add(retiring)
    const report = await retiring
    this.#retiring.delete(retiring)
    this.leaving -= places
    this.#onEnd(this)
    return report
  }
}
