import { debug } from '../utils/debug.ts'

/** The instructions for one build. */
export interface Build<Definition> {
  number: number
  /** Whether modules are read from disk again. */
  freshCode: boolean
  /** `undefined` if the source has not been asked yet. */
  definition: Definition | undefined
}

/** One loaded version of a tenant or a template. */
interface Numbered { readonly number: number }

/** The functions that slots call. All slots of a kind share them. */
export interface SlotFunctions<Generation extends Numbered, Definition, Report> {
  /** The kind of its contents, for debug lines. */
  readonly kind: 'tenant' | 'template'
  /** Builds and loads a generation. */
  build (slot: Slot<Generation, Definition, Report>, build: Build<Definition>): Promise<Generation>
  /** Drains and closes a generation. Never rejects. */
  retire (generation: Generation): Promise<Report>
  /** Called when a generation is closed. */
  onClosed (slot: Slot<Generation, Definition, Report>): void
}

/** The result of a reload: the new generation serves, the old one may still drain. */
export interface Swap<Generation, Report> {
  generation: Generation
  /** Resolves when the old generation is closed; `null` when there was none. */
  drain: Promise<Report | null>
}

/** One tenant's or template's place in memory: the generation that serves, the one that is being built, and those that drain. */
export class Slot<Generation extends Numbered, Definition, Report> {
  readonly id: string
  /** The generation that serves. A swap is one assignment, so no request meets a half-built tenant. */
  current: Generation | undefined
  /** The error of the last load or reload; `undefined` when it succeeded. */
  lastError: unknown
  /** How many requests and jobs wait for the tenant to be loaded. */
  waiting = 0
  readonly #functions: SlotFunctions<Generation, Definition, Report>
  /** `undefined` while nothing drains, which saves memory. */
  #retiring: Set<Promise<Report>> | undefined
  #building: Promise<Swap<Generation, Report>> | undefined
  #next: Promise<Swap<Generation, Report>> | undefined
  #builds = 0
  /** The last build that had been started or asked for when the tenant was last taken out of service. It and those before it never serve. */
  #lastDiscarded = 0
  /** Whether the next build reads modules from disk again. */
  #freshCode = false

  constructor (id: string, functions: SlotFunctions<Generation, Definition, Report>) {
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
    return this.#retiring?.size ?? 0
  }

  /** Whether nothing of the tenant is in memory, and nobody waits for it. */
  get isEmpty (): boolean {
    return !this.loadedOrLoading && this.#next === undefined && this.draining === 0 && this.waiting === 0
  }

  /** The current generation. Builds it if there is none, once for all callers. */
  async load (definition?: Definition): Promise<Generation> {
    if (this.current !== undefined) return this.current
    const { generation } = await (this.#building ?? this.#build(definition))
    return generation
  }

  /**
   * Builds a generation beside the current one and swaps the two. If the build fails, the current one keeps serving. All calls during a
   * build share one more build, which starts later and sees all changes until then.
   */
  reload (freshCode: boolean): Promise<Swap<Generation, Report>> {
    this.#freshCode ||= freshCode
    if (this.#building === undefined) return this.#build()
    this.#next ??= this.built().then(() => {
      this.#next = undefined
      return this.reload(false)
    })
    return this.#next
  }

  /** Takes the tenant out of service at once. A generation that is being built never serves: it is closed after its build. Resolves to `null` when there is no generation. */
  async clear (): Promise<Report | null> {
    const ending = this.#take()
    const last = this.#next ?? this.#building
    if (last === undefined) return ending ?? null
    this.#lastDiscarded = this.#builds + (this.#next === undefined ? 0 : 1)
    // The callers of load() and reload() handle a failure.
    const [built] = await Promise.allSettled([last])
    return built.status === 'fulfilled' ? built.value.drain : ending ?? null
  }

  /** Resolves when the generation that is being built serves, or its build has failed. */
  async built (): Promise<void> {
    // The callers of that build handle a failure.
    await Promise.allSettled([this.#building])
  }

  /** Resolves when all generations that drain are closed. */
  async drained (): Promise<void> {
    await Promise.all(this.#retiring ?? [])
  }

  #take (): Promise<Report> | undefined {
    const { current } = this
    this.current = undefined
    return current && this.#retire(current)
  }

  #build (definition?: Definition): Promise<Swap<Generation, Report>> {
    this.#building = this.#swap(definition).finally(() => { this.#building = undefined })
    return this.#building
  }

  async #swap (definition: Definition | undefined): Promise<Swap<Generation, Report>> {
    const freshCode = this.#freshCode
    this.#freshCode = false
    const number = ++this.#builds
    const generation = await this.#functions.build(this, { number, freshCode, definition })
    if (number <= this.#lastDiscarded) return { generation, drain: this.#retire(generation) }
    const old = this.current
    this.current = generation
    debug?.("%s '%s', generation %d: swap, replaces %s", this.#functions.kind, this.id, number, old === undefined ? 'none' : `generation ${old.number}`)
    return { generation, drain: old === undefined ? Promise.resolve(null) : this.#retire(old) }
  }

  async #retire (generation: Generation): Promise<Report> {
    const retiring = this.#functions.retire(generation)
    this.#retiring ??= new Set()
    this.#retiring.add(retiring)
    const report = await retiring
    this.#retiring.delete(retiring)
    if (this.draining === 0) this.#retiring = undefined
    this.#functions.onClosed(this)
    return report
  }
}
