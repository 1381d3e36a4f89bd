/** The limit of a queue, and what it needs to know of its items. */
export interface FairQueueOptions<Item> {
  /** How many items may wait, of all clients together. */
  readonly max: number
  /** Whether nobody needs the item any more. */
  readonly isGone: (item: Item) => boolean
  /** Called with each item that is removed to make room for another client's item. */
  readonly onDrop: (item: Item) => void
}

/** A queue that serves its clients in turn, so that a client with many items delays only itself. */
export class FairQueue<Item> {
  readonly #options: FairQueueOptions<Item>
  /** The waiting items of each client, starting with the client whose turn it is. No line is empty. */
  readonly #lines = new Map<unknown, Item[]>()
  #size = 0

  constructor (options: FairQueueOptions<Item>) {
    this.#options = options
  }

  get size (): number {
    return this.#size
  }

  /** Makes room for an item of this client. Returns `false` when the queue is full and no other client has more items in it. */
  makeRoom (client: unknown): boolean {
    if (this.#size < this.#options.max) return true
    const own = this.#lines.get(client)?.length ?? 0
    // Refuse a client with at least its share before the slow search through all lines.
    if (own >= this.#options.max / this.#lines.size) return false
    const longest = this.#sweep()
    if (this.#size < this.#options.max) return true
    if (longest.length <= own + 1) return false
    for (const last of longest.splice(-1)) this.#options.onDrop(last)
    this.#size--
    return true
  }

  /** Adds an item. Call `makeRoom()` first. */
  add (client: unknown, item: Item): void {
    const line = this.#lines.get(client)
    if (line === undefined) this.#lines.set(client, [item])
    else line.push(item)
    this.#size++
  }

  /** The first item of the client whose turn it is. */
  take (): Item | undefined {
    const [next] = this.#lines
    if (next === undefined) return undefined
    const [client, line] = next
    const item = line.shift()
    this.#lines.delete(client)
    if (line.length > 0) this.#lines.set(client, line)
    this.#size--
    return item
  }

  /** Removes the items that nobody needs any more. Returns the longest line. */
  #sweep (): Item[] {
    let longest: Item[] = []
    for (const [client, line] of this.#lines) {
      const wanted = line.filter(item => !this.#options.isGone(item))
      this.#size -= line.length - wanted.length
      if (wanted.length === 0) this.#lines.delete(client)
      else this.#lines.set(client, wanted)
      if (wanted.length > longest.length) longest = wanted
    }
    return longest
  }
}
