import { stat } from 'node:fs/promises'

/** The content of one read. */
interface Reading<Content> {
  /** When the file or folder last changed, in ns since the epoch. */
  mtime: bigint
  /** Whether every later change is sure to have a different mtime. */
  lasting: boolean
  content: Content
}

/** Two changes within this time may get the same mtime from the file system. In ms. */
const MTIME_GRANULARITY = 1000

/** Reads a file or a folder, and reads it again only after it has changed. */
export class ReadCache<Content> {
  readonly #path: string
  readonly #read: (path: string) => Promise<Content>
  #reading: Reading<Content> | undefined
  #running: Promise<Content> | undefined
  #next: Promise<Content> | undefined

  constructor (path: string, read: (path: string) => Promise<Content>) {
    this.#path = path
    this.#read = read
  }

  /**
   * Returns the current content. Calls at the same time share one read. A read that is already running is not shared, because it may
   * have missed the latest change. Rejects when the file system or `read` fails.
   */
  get (): Promise<Content> {
    this.#next ??= this.#afterRunning().then(() => {
      this.#running = this.#next
      this.#next = undefined
      return this.#refresh()
    })
    return this.#next
  }

  async #afterRunning (): Promise<void> {
    // An error of that read has already reached the callers that wait for it.
    await Promise.allSettled([this.#running])
  }

  async #refresh (): Promise<Content> {
    const { mtimeNs, mtimeMs } = await stat(this.#path, { bigint: true })
    if (this.#reading?.lasting === true && this.#reading.mtime === mtimeNs) return this.#reading.content
    const lasting = Date.now() - Number(mtimeMs) > MTIME_GRANULARITY
    this.#reading = { mtime: mtimeNs, lasting, content: await this.#read(this.#path) }
    return this.#reading.content
  }
}
