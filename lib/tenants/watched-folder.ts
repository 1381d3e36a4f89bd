import { existsSync, watch as watchFolder } from 'node:fs'
import { basename, dirname, sep } from 'node:path'
import { watch } from 'chokidar'
import type { FSWatcher } from 'node:fs'

/** Tells of changes in a folder, and of its being deleted and made again. */
export class WatchedFolder {
  readonly #dir: string
  readonly #onChange: () => void
  readonly #onError: (error: unknown) => void
  /** Watches the folder's entry in the folder above: a watch of the folder itself ends when it is deleted. */
  readonly #above: FSWatcher | undefined
  #inside: ReturnType<typeof watch> | undefined

  constructor (dir: string, onChange: () => void, onError: (error: unknown) => void) {
    this.#dir = dir
    this.#onChange = onChange
    this.#onError = onError
    // In this order nothing is missed in between.
    this.#above = this.#watchAbove()
    this.#inside = this.#open()
  }

  /** Whether there is no such folder. */
  get gone (): boolean {
    return this.#inside === undefined
  }

  async close (): Promise<void> {
    this.#above?.close()
    await this.#inside?.close()
  }

  #open (): ReturnType<typeof watch> | undefined {
    if (!existsSync(this.#dir)) return undefined
    const inside = watch(this.#dir, { ignoreInitial: true, ignored: path => path.endsWith(`${sep}node_modules`) })
    inside.on('all', this.#onChange)
    inside.on('error', this.#onError)
    return inside
  }

  #watchAbove (): FSWatcher | undefined {
    try {
      const name = basename(this.#dir)
      const above = watchFolder(dirname(this.#dir), { persistent: false }, (event, changed) => {
        if (event === 'rename' && changed === name) this.#reopen()
      })
      return above.on('error', this.#onError)
    } catch (error) {
      this.#onError(error)
      return undefined
    }
  }

  #reopen (): void {
    this.#inside?.close().catch(this.#onError)
    this.#inside = this.#open()
    // What was written before all of it is watched is told by nobody.
    this.#inside?.on('ready', this.#onChange)
    this.#onChange()
  }
}
