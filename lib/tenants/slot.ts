import type { Generation } from './generation.ts'
import type { DrainReport } from '../../types/index.ts'

/** One tenant's place: the generation that takes its requests, the one that is being loaded, and those that end. */
export class Slot {
  readonly id: string
  /** Takes the requests. Replaced in one assignment, so no request meets a tenant that is half built. */
  current: Generation | undefined
  readonly #build: (id: string, number: number) => Promise<Generation>
  #loading: Promise<Generation> | undefined
  readonly #retiring = new Set<Promise<DrainReport>>()
  #loads = 0

  constructor (id: string, build: (id: string, number: number) => Promise<Generation>) {
    this.id = id
    this.#build = build
  }

  get loading (): boolean {
    return this.#loading !== undefined
  }

  /** How many generations end. */
  get draining (): number {
    return this.#retiring.size
  }

  /** How often this tenant was loaded, failed loads included. */
  get loads (): number {
    return this.#loads
  }

  /** Whether nothing of the tenant is left in memory. */
  get vacant (): boolean {
    return this.current === undefined && !this.loading && this.draining === 0
  }

  /** The current generation, loaded when there is none: once, however many ask. */
  load (): Promise<Generation> {
    if (this.current !== undefined) return Promise.resolve(this.current)
    this.#loading ??= this.#load()
    return this.#loading
  }

  /** Takes the tenant out of service, a load under way included; `null` when there is nothing to end. */
  async retire (drainTimeout: number): Promise<DrainReport | null> {
    await this.#loading?.catch(() => undefined)
    const generation = this.current
    if (generation === undefined) return null
    this.current = undefined
    const retiring = generation.retire(drainTimeout)
    this.#retiring.add(retiring)
    try {
      return await retiring
    } finally {
      this.#retiring.delete(retiring)
    }
  }

  /** Waits for the generations that end. */
  async settled (): Promise<void> {
    await Promise.allSettled(this.#retiring)
  }

  async #load (): Promise<Generation> {
    this.#loads++
    try {
      this.current = await this.#build(this.id, this.#loads)
      return this.current
    } finally {
      this.#loading = undefined
    }
  }
}
