/** The bounds of a `ConcurrencyLimit`. */
export interface ConcurrencyOptions {
  /** How many tasks run at a time, not counting those that have run for longer than `patience`. */
  readonly limit: number
  /** How many tasks run at a time, counting all. */
  readonly hardLimit: number
  /** How long a task counts against `limit`, in ms. */
  readonly patience: number
  /** Called when the next task may begin. */
  readonly onFree: () => void
}

/**
 * Limits how many tasks run at a time. A task that takes long no longer counts against `limit`. The next one begins beside it, so that
 * tasks that hang delay the others only a little.
 */
export class ConcurrencyLimit {
  readonly #options: ConcurrencyOptions
  #running = 0
  /** How many tasks have run for longer than `patience`. */
  #overdue = 0
  /** How many tasks wait for other tasks. */
  #paused = 0

  constructor (options: ConcurrencyOptions) {
    this.#options = options
  }

  /** Whether a task may begin. */
  get free (): boolean {
    const running = this.#running - this.#paused
    return running < this.#options.hardLimit && running - this.#overdue < this.#options.limit
  }

  /** Begins a task. Call this only if `free`. Returns the function that ends the task; call it once. */
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

  /** Stops counting a running task while it waits for another task, which may need its place. */
  async pauseWhile<Result> (wait: () => Promise<Result>): Promise<Result> {
    this.#paused++
    this.#options.onFree()
    try {
      return await wait()
    } finally {
      this.#paused--
    }
  }
}
