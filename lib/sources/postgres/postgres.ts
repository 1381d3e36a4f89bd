import type { FastifyBaseLogger } from 'fastify'
import { FST_TENANT_OPTION_INVALID, FST_TENANT_TABLE_MISSING } from '../../errors.ts'
import { createClient, createPool, queryOf } from './connections.ts'
import { HostBatches } from './host-batches.ts'
import { Listener } from './listener.ts'
import { migrate } from './migration.ts'
import { Notices } from './notices.ts'
import { resolvePostgresOptions } from './options.ts'
import { TenantTable } from './table.ts'
import type { PostgresPool, Query } from './connections.ts'
import type { Names } from './names.ts'
import type { PostgresTenantsOptions } from './options.ts'
import type { LoadedTenant, SourceContext, TenantChange, TenantDefinition, TenantSource } from '../../../types/index.ts'

export type { PostgresPool } from './connections.ts'
export type { PostgresTenantsOptions } from './options.ts'

/** How many tenants are compared by one query. */
const COMPARED = 1_000

/** Tenants that are rows of a table in PostgreSQL, which tells all processes of changes. */
export class PostgresSource implements TenantSource {
  readonly #names: Names
  readonly #pool: PostgresPool
  readonly #ownsPool: boolean
  readonly #table: TenantTable
  readonly #hosts: HostBatches
  readonly #listener: Listener
  readonly #notices: Notices
  #log: FastifyBaseLogger | undefined
  #closing: Promise<void> | undefined
  #changed: ((change?: TenantChange) => void) | undefined
  #loaded: () => LoadedTenant[] = () => []

  /** Throws FST_TENANT_OPTION_INVALID. */
  constructor (options: PostgresTenantsOptions) {
    const { names, folders, connectionString, pool } = resolvePostgresOptions(options)
    this.#names = names
    this.#ownsPool = pool === undefined
    this.#pool = pool ?? createPool(connectionString as string)
    this.#table = new TenantTable(names, queryOf(this.#pool), folders)
    this.#hosts = new HostBatches(async patterns => this.#table.owners(patterns))
    this.#listener = new Listener({
      channel: names.channel,
      connect: () => createClient(connectionString, pool),
      onMessage: message => this.#notices.add(message),
      compare: query => this.#compare(query),
      onListening: () => this.#onListening(),
      onLost: error => this.#onLost(error)
    })
    this.#notices = new Notices({
      ask: work => this.#listener.ask(work),
      states: (query, ids) => this.#table.changes(query, ids),
      tell: change => this.#changed?.(change),
      tellAny: query => this.#tellAny(query),
      onStrange: count => this.#log?.warn({ count }, 'messages on the channel of tenants are not of their table')
    })
    // Without a listener, an idle connection that breaks would end the process.
    this.#pool.on('error', this.#onPoolError)
  }

  /** The full name of the table, quoted where it needs be. */
  get table (): string {
    return this.#names.tenants
  }

  /** Makes the table, or brings it up to date. Does nothing when it is; may be called by several processes at once. */
  async migrate (): Promise<void> {
    await migrate(queryOf(this.#pool), this.#names)
  }

  /** Throws FST_TENANT_TABLE_MISSING, FST_TENANT_OPTION_INVALID when the source is in use already, and what PostgreSQL or the connection throws. */
  async open ({ log }: SourceContext): Promise<void> {
    if (this.#log !== undefined) throw new FST_TENANT_OPTION_INVALID('tenants', 'a source of its own for each registration: this one is in use')
    this.#log = log
    if (!await this.#table.exists()) throw new FST_TENANT_TABLE_MISSING(this.#names.tenants)
    await this.#listener.open()
  }

  /** Throws FST_TENANT_ROW_INVALID, and what PostgreSQL or the connection throws. */
  async get (id: string): Promise<TenantDefinition | null> {
    return this.#table.get(id)
  }

  /** Throws FST_TENANT_ROW_INVALID when one row is not valid, and what PostgreSQL or the connection throws. */
  async getMany (ids: readonly string[]): Promise<ReadonlyMap<string, TenantDefinition>> {
    return this.#table.getMany(ids)
  }

  /** Page by page, in the order of the ids. */
  list (): AsyncIterable<string> {
    return this.#table.list()
  }

  /** Throws what PostgreSQL or the connection throws. */
  async resolveHost (host: string): Promise<string | null> {
    return this.#hosts.find(host)
  }

  /** Exact up to 10,000; above that it is what PostgreSQL estimates. */
  async count (): Promise<number> {
    return this.#table.count()
  }

  watch (changed: (change?: TenantChange) => void, loaded: () => LoadedTenant[]): () => void {
    this.#changed = changed
    this.#loaded = loaded
    return () => { this.#changed = undefined }
  }

  /** Closes the connection that listens, and the pool unless it was given. A second time is of no account. */
  close (): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close (): Promise<void> {
    this.#notices.close()
    await this.#listener.close()
    // A pool that has ended may still hear from its connections.
    if (this.#ownsPool) return this.#pool.end()
    this.#pool.off('error', this.#onPoolError)
  }

  async #tellAny (query: Query): Promise<void> {
    await this.#compare(query)
    this.#changed?.()
  }

  /** What was added meanwhile is told to nobody. */
  #onListening (): void {
    this.#changed?.()
    this.#log?.info('hears of changes of tenants')
  }

  /** Until it listens again, it knows of nothing new: what it does not know may be there. */
  #onLost (err: Error): void {
    this.#changed?.()
    this.#log?.warn({ err }, 'lost the connection that hears of changes of tenants; those in memory go on')
  }

  /** Tells how the tenants in memory are now, whatever was told of them. */
  async #compare (query: Query): Promise<void> {
    const loaded = this.#loaded().map(({ id }) => id)
    // Asks even when there is nothing to compare: that shows whether the connection is alive.
    do {
      for (const change of await this.#table.changes(query, loaded.splice(0, COMPARED))) this.#changed?.(change)
    } while (loaded.length > 0)
  }

  readonly #onPoolError = (err: Error): void => {
    this.#log?.warn({ err }, 'lost an idle connection to the database of tenants')
  }
}

/** The tenants of a table in PostgreSQL; `migrate()` makes it. Throws FST_TENANT_OPTION_INVALID. */
export function postgresTenants (options: PostgresTenantsOptions): PostgresSource {
  return new PostgresSource(options)
}
