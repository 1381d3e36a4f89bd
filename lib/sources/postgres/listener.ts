import { queryOf } from './connections.ts'
import type pg from 'pg'
import type { Query } from './connections.ts'

/** The options of a `Listener`. */
export interface ListenerOptions {
  /** The channel to listen to. */
  channel: string
  /** Creates a client that is not connected yet. */
  connect: () => pg.Client
  /** Called for each message on the channel. */
  onMessage: (payload: string) => void
  /** Compares the loaded tenants with the table, because messages may have been missed. An error drops the connection. */
  compare: (query: Query) => Promise<void>
  /** Called when it has connected and compared. No change is missed from then on. */
  onListening: () => void
  /** Called when the connection is lost. */
  onLost: (error: Error) => void
}

/** The pause before the first attempt to reconnect, in ms. Each further pause is twice as long. */
const FIRST_PAUSE = 100
/** The longest pause before an attempt to reconnect, in ms. */
const LONGEST_PAUSE = 3_000
/** How often it compares while the connection works, in ms. This also detects a dead connection that reports no error. */
const INTERVAL = 10_000
/** How long the database server may take to end a connection, in ms. */
const GRACE = 1_000

/** Returns the pause before the next attempt to connect, in ms. It is random, so that not all processes reconnect at once. */
export function pauseAfter (failures: number): number {
  return Math.min(FIRST_PAUSE * 2 ** failures, LONGEST_PAUSE) * (1 + Math.random()) / 2
}

/** Listens to a channel on its own connection, and reconnects whenever the connection is lost. */
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

  /** Connects. Resolves when it listens, rejects when it cannot connect. */
  async open (): Promise<void> {
    await this.#connect()
  }

  /** Runs `work` on the connection, if there is one. Never rejects: after an error, the connection counts as lost. */
  async ask (work: (query: Query) => Promise<void>): Promise<void> {
    const client = this.#client
    if (client === undefined) return
    try {
      await work(queryOf(client))
    } catch (error) {
      this.#drop(client, error as Error)
    }
  }

  /** Stops listening and closes the connection. */
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
    this.#scheduleComparison(client)
  }

  #scheduleComparison (client: pg.Client): void {
    // The connection may have been closed or lost meanwhile.
    if (this.#closed || client !== this.#client) return
    this.#timer = setTimeout(() => {
      this.#options.compare(queryOf(client)).then(() => this.#scheduleComparison(client), error => this.#drop(client, error))
    }, INTERVAL)
  }

  /** Replaces a lost connection. Does nothing for a connection that has been replaced: one loss can cause several events. */
  #drop (client: pg.Client, error: Error): void {
    if (this.#closed || client !== this.#client) return
    this.#client = undefined
    clearTimeout(this.#timer)
    this.#end(client)
    this.#options.onLost(error)
    this.#scheduleReconnect()
  }

  #scheduleReconnect (): void {
    this.#timer = setTimeout(() => { this.#connecting = this.#reconnect() }, pauseAfter(this.#failures))
  }

  /** Never rejects: `onLost` has been called for this loss already. */
  async #reconnect (): Promise<void> {
    try {
      await this.#connect()
    } catch {
      this.#failures++
      if (!this.#closed) this.#scheduleReconnect()
    }
  }

  /** Ends a connection in the background, because its end may take long, or fail. */
  #end (client: pg.Client): void {
    end(client).catch(error => this.#drop(client, error))
  }
}

/** Ends a connection. Destroys its socket after `GRACE`, because `end()` never settles if the server has stopped responding. */
async function end (client: pg.Client): Promise<void> {
  const timer = setTimeout(() => client.connection.stream.destroy(), GRACE)
  try {
    await client.end()
  } finally {
    clearTimeout(timer)
  }
}
