/** How many pieces of work run at a time. */
export interface TurnsOptions {
  /** How many run at a time, without those that have run for longer than `patience`. */
  readonly size: number
  /** How many run at a time, all counted. */
  readonly most: number
  /** ms */
  readonly patience: number
  /** Is called when the next one may begin. */
  readonly onFree: () => void
}

/**
 * Says when the next piece of work may begin. Work that takes long gives its turn to others and goes on beside them, so that work
 * that hangs keeps nobody waiting for long.
 */
export class Turns {
  readonly #options: TurnsOptions
  #running = 0
  /** Those that have run for longer than `patience`. */
  #overdue = 0
  #lent = 0

  constructor (options: TurnsOptions) {
    this.#options = options
  }

  get free (): boolean {
    const running = this.#running - this.#lent
    return running < this.#options.most && running - this.#overdue < this.#options.size
  }

  /** To be called when `free`. The work is over when what it returns is called, once. */
  begin (): () => void {
    const { patience, onFree } = this.#options
    let overdue = 0
    const timer = setTimeout(() => {
      overdue = 1
      this.#overdue++
      onFree()
    }, patience)
    this.#running++
    return () => {
      clearTimeout(timer)
      this.#running--
      this.#overdue -= overdue
      onFree()
    }
  }

  /** Lets others have a turn while work that has one waits for them. */
  async lend<Result> (wait: () => Promise<Result>): Promise<Result> {
    this.#lent++
    this.#options.onFree()
    try {
      return await wait()
    } finally {
      this.#lent--
    }
  }
}
