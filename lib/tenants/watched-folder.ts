import { existsSync, watch as watchFolder } from 'node:fs'
import { basename, dirname, sep } from 'node:path'
import { watch } from 'chokidar'
import type { FSWatcher } from 'node:fs'

/** Watches one folder, even if it is deleted and created again. */
export class WatchedFolder {
  readonly #dir: string
  readonly #onChange: () => void
  readonly #onError: (error: unknown) => void
  /** Watches the folder's entry in its parent folder, because a watcher of the folder itself ends when the folder is deleted. */
  readonly #above: FSWatcher | undefined
  #inside: ReturnType<typeof watch> | undefined

  constructor (dir: string, onChange: () => void, onError: (error: unknown) => void) {
    this.#dir = dir
    this.#onChange = onChange
    this.#onError = onError
    // Watch the parent first, so that no change between the two calls is missed.
    this.#above = this.#watchAbove()
    this.#inside = this.#watchInside()
  }

  /** Whether the folder does not exist. */
  get isDeleted (): boolean {
    return this.#inside === undefined
  }

  async close (): Promise<void> {
    this.#above?.close()
    await this.#inside?.close()
  }

  #watchInside (): ReturnType<typeof watch> | undefined {
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
        if (event === 'rename' && changed === name) this.#onReplaced()
      })
      return above.on('error', this.#onError)
    } catch (error) {
      this.#onError(error)
      return undefined
    }
  }

  #onReplaced (): void {
    this.#inside?.close().catch(this.#onError)
    this.#inside = this.#watchInside()
    // chokidar emits nothing for files written before it is ready.
    this.#inside?.on('ready', this.#onChange)
    this.#onChange()
  }
}
