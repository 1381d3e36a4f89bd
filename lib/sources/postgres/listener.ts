import { queryOf } from './connections.ts'
import type pg from 'pg'
import type { Query } from './connections.ts'

/** What a listener listens with, and whom it tells. */
export interface ListenerOptions {
  channel: string
  /** A new connection, not yet connected. */
  connect: () => pg.Client
  onMessage: (payload: string) => void
  /** Asks how things are now: messages may have been missed. What it throws ends the connection. */
  compare: (query: Query) => Promise<void>
  /** It listens, and has compared: from now on it hears of everything. */
  onListening: () => void
  onLost: (error: Error) => void
}

/** The first pause before it connects again, in ms; each further one is twice as long. */
const FIRST_PAUSE = 100
/** ms */
const LONGEST_PAUSE = 3_000
/** How often it compares while nothing is wrong, in ms: that also finds a connection that is dead and does not say so. */
const INTERVAL = 10_000
/** How long a server may take to say goodbye, in ms. */
const GRACE = 1_000

/** How long to wait before another attempt to connect, in ms. By chance shorter, so that not all processes come back at once. */
export function pauseAfter (failures: number): number {
  return Math.min(FIRST_PAUSE * 2 ** failures, LONGEST_PAUSE) * (1 + Math.random()) / 2
}

/** Listens to a channel on a connection of its own, and connects again whenever that is lost. */
export class Listener {
  readonly #options: ListenerOptions
  #client: pg.Client | undefined
  #connecting: Promise<void> | undefined
  #timer: NodeJS.Timeout | undefined
  #failures = 0
  #closed = false

  constructor (options: ListenerOptions) {
    this.#options = options
  }

  /** Resolves when it listens. Throws what the connection throws. */
  async open (): Promise<void> {
    await this.#connect()
  }

  /** Asks on the connection, when there is one. Never rejects: a connection that gives no answer is lost. */
  async ask (work: (query: Query) => Promise<void>): Promise<void> {
    const client = this.#client
    if (client === undefined) return
    try {
      await work(queryOf(client))
    } catch (error) {
      this.#drop(client, error as Error)
    }
  }

  async close (): Promise<void> {
    this.#closed = true
    clearTimeout(this.#timer)
    await this.#connecting
    clearTimeout(this.#timer)
    if (this.#client !== undefined) await end(this.#client)
  }

  async #connect (): Promise<void> {
    const client = this.#options.connect()
    client.on('notification', ({ payload = '' }) => this.#options.onMessage(payload))
    client.on('error', error => this.#drop(client, error))
    client.on('end', () => this.#drop(client, new Error('The connection was closed')))
    try {
      await client.connect()
      const query = queryOf(client)
      await query(`listen "${this.#options.channel}"`)
      await this.#options.compare(query)
    } catch (error) {
      this.#end(client)
      throw error
    }
    this.#client = client
    this.#failures = 0
    this.#options.onListening()
    this.#compareLater(client)
  }

  #compareLater (client: pg.Client): void {
    // It may have been closed or lost while it compared.
    if (this.#closed || client !== this.#client) return
    this.#timer = setTimeout(() => {
      this.#options.compare(queryOf(client)).then(() => this.#compareLater(client), error => this.#drop(client, error))
    }, INTERVAL)
  }

  /** A connection that is lost may say so more than once. */
  #drop (client: pg.Client, error: Error): void {
    if (this.#closed || client !== this.#client) return
    this.#client = undefined
    clearTimeout(this.#timer)
    this.#end(client)
    this.#options.onLost(error)
    this.#connectLater()
  }

  #connectLater (): void {
    this.#timer = setTimeout(() => { this.#connecting = this.#connectAgain() }, pauseAfter(this.#failures))
  }

  /** Never rejects: it was told before that the connection is lost. */
  async #connectAgain (): Promise<void> {
    try {
      await this.#connect()
    } catch {
      this.#failures++
      if (!this.#closed) this.#connectLater()
    }
  }

  /** Nobody waits for the end of a connection that is of no more use: it may take long to notice, or fail in its turn. */
  #end (client: pg.Client): void {
    end(client).catch(error => this.#drop(client, error))
  }
}

/** A server that answers no more would keep the connection open, and whoever waits for its end, for ever. */
async function end (client: pg.Client): Promise<void> {
  const timer = setTimeout(() => client.connection.stream.destroy(), GRACE)
  try {
    await client.end()
  } finally {
    clearTimeout(timer)
  }
}
