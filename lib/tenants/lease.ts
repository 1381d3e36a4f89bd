import type { DrainReport } from '../../types/index.ts'
import type { Generation } from './generation.ts'

/** Who needs a generation: a raw response, or a job. */
export interface Holder {
  statusCode?: number
  req: { method?: string | undefined, url?: string | undefined, originalUrl?: string }
  destroy (): unknown
}

/** Keeps a generation loaded until it is released. The leases of a generation are a linked list: on each request a map of them would be rehashed. */
export class Lease {
  readonly generation: Generation
  readonly holder: Holder
  /** ms since the epoch */
  readonly since: number
  previous: Lease | undefined
  next: Lease | undefined
  #released = false

  constructor (generation: Generation, holder: Holder, since: number) {
    this.generation = generation
    this.holder = holder
    this.since = since
  }

  /** A second time is of no account. */
  release (): void {
    if (this.#released) return
    this.#released = true
    this.generation.leases.release(this)
  }

  /** What a drain says of it when it did not end in time. */
  describe (): DrainReport['forced'][number] {
    const { method, url, originalUrl = url } = this.holder.req
    return { method: method as string, url: originalUrl as string, ms: Date.now() - this.since }
  }
}
