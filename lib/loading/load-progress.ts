import { isTimeout, TenantFileError } from './file-error.ts'

/** Tracks the files that a load is working on, so that a timeout can name the file that hangs. */
export class LoadProgress {
  /** The names of the files, in the order in which they were started. */
  readonly #pending = new Set<string>()

  /** Marks a file as started. Call the returned function when the file has finished. */
  begin (name: string): () => void {
    this.#pending.add(name)
    return () => { this.#pending.delete(name) }
  }

  /** Runs the work of a file, from `begin()` to its end. */
  async track<Result> (name: string, work: () => Result | Promise<Result>): Promise<Result> {
    const end = this.begin(name)
    try {
      return await work()
    } finally {
      end()
    }
  }

  /** Wraps a timeout of Fastify so that it names the file that hangs. Other errors are returned unchanged. */
  explain (error: unknown): unknown {
    const [name] = this.#pending
    return name === undefined || error instanceof TenantFileError || !isTimeout(error) ? error : new TenantFileError(name, error)
  }
}
