import { isTimeout, TenantFileError } from './file-error.ts'

/** Knows which files a load is at, so that one that never ends can be blamed on the file that it hangs in. */
export class LoadProgress {
  /** In the order in which their turn comes. */
  readonly #pending = new Set<string>()

  /** @returns to be called when the file is through */
  begin (name: string): () => void {
    this.#pending.add(name)
    return () => { this.#pending.delete(name) }
  }

  /** Runs what the file does. */
  async track<Result> (name: string, work: () => Result | Promise<Result>): Promise<Result> {
    const end = this.begin(name)
    try {
      return await work()
    } finally {
      end()
    }
  }

  /** An error that names the file that the load hung in, where Fastify gave up on it. Every other error stays as it is. */
  explain (error: unknown): unknown {
    const [name] = this.#pending
    return name === undefined || error instanceof TenantFileError || !isTimeout(error) ? error : new TenantFileError(name, error)
  }
}
