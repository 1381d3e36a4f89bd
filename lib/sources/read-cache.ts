import { stat } from 'node:fs/promises'

/** What was read at one time. */
interface Reading<Content> {
  /** When the file or folder last changed, in ns since the epoch. */
  mtime: bigint
  /** Whether a later change must have another mtime. */
  lasting: boolean
  content: Content
}

/** File systems may give the same mtime to changes this close to each other, in ms. */
const MTIME_GRANULARITY = 1000

/** The content of a file or a folder as it is now, which is read again only when it has changed. */
export class Fresh<Content> {
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
   * Those who ask at the same time share the answer, but not one that was already on its way: it may have missed what has changed
   * since. Throws what the file system throws, and what reading throws.
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
    // Its failure is told to those who wait for it.
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
