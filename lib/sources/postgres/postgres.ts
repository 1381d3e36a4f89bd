import type { FastifyBaseLogger } from 'fastify'
import { FST_TENANT_OPTION_INVALID, FST_TENANT_TABLE_MISSING } from '../../errors.ts'
import { Comparison } from './comparison.ts'
import { createClient, createPool, queryOf } from './connections.ts'
import { HostBatches } from './host-batches.ts'
import { Listener } from './listener.ts'
import { migrate } from './migration.ts'
import { Notices } from './notices.ts'
import { resolvePostgresOptions } from './options.ts'
import { TenantTable } from './table.ts'
import type { PostgresPool } from './connections.ts'
import type { Names } from './names.ts'
import type { PostgresTenantsOptions } from './options.ts'
import type { LoadedTenant, SourceContext, TenantChange, TenantDefinition, TenantSource } from '../../../types/index.ts'

export type { PostgresPool, PostgresTenantsOptions }

/** Tenants that are rows of a PostgreSQL table. Triggers notify all processes of changes. All async methods reject when PostgreSQL or the connection fails. */
export class PostgresSource implements TenantSource {
  readonly #names: Names
  readonly #pool: PostgresPool
  readonly #ownsPool: boolean
  readonly #table: TenantTable
  readonly #hosts: HostBatches
  readonly #comparison: Comparison
  readonly #listener: Listener
  readonly #notices: Notices
  #log: FastifyBaseLogger | undefined
  #closing: Promise<void> | undefined
  #changed: ((change?: TenantChange) => void) | undefined
  #loaded: () => LoadedTenant[] = () => []

  /** @throws {FST_TENANT_OPTION_INVALID} when an option is invalid */
  constructor (options: PostgresTenantsOptions) {
    const { names, root, connectionString, pool } = resolvePostgresOptions(options)
    this.#names = names
    this.#ownsPool = pool === undefined
    this.#pool = pool ?? createPool(connectionString as string)
    this.#table = new TenantTable(names, queryOf(this.#pool), root)
    this.#hosts = new HostBatches(async patterns => this.#table.owners(patterns))
    this.#comparison = new Comparison({
      table: this.#table,
      loaded: () => this.#loaded(),
      announce: change => this.#changed?.(change)
    })
    this.#listener = new Listener({
      channel: names.channel,
      connect: () => createClient(connectionString, pool),
      onMessage: message => this.#notices.add(message),
      compare: query => this.#comparison.run(query),
      onListening: () => this.#onListening(),
      onLost: error => this.#onLost(error)
    })
    this.#notices = new Notices({
      ask: work => this.#listener.ask(work),
      states: (query, ids) => this.#table.changes(query, ids),
      announce: change => this.#changed?.(change),
      announceAny: query => this.#comparison.run(query).then(() => this.#changed?.()),
      onForeign: count => this.#log?.warn({ count }, 'ignored messages on the tenant channel that the table did not send')
    })
    // Without a listener, an error of an idle connection would end the process.
    this.#pool.on('error', this.#onPoolError)
  }

  /** The name of the table with its schema, quoted for SQL. */
  get table (): string {
    return this.#names.tenants
  }

  /** Creates or updates the table. Does nothing if it is up to date. Several processes may call it at once. */
  async migrate (): Promise<void> {
    await migrate(queryOf(this.#pool), this.#names)
  }

  /**
   * Starts listening for changes.
   * @throws {FST_TENANT_OPTION_INVALID} when another registration of the plugin uses this source
   * @throws {FST_TENANT_TABLE_MISSING} when `migrate()` has not been called
   */
  async open ({ log }: SourceContext): Promise<void> {
    if (this.#log !== undefined) throw new FST_TENANT_OPTION_INVALID('tenants', 'a new source for each registration of the plugin: this one is in use')
    this.#log = log
    if (!await this.#table.exists()) throw new FST_TENANT_TABLE_MISSING(this.#names.tenants)
    await this.#listener.open()
  }

  /** @throws {FST_TENANT_ROW_INVALID} when the row names a folder outside the allowed folder */
  async get (id: string): Promise<TenantDefinition | null> {
    return this.#table.get(id)
  }

  /** @throws {FST_TENANT_ROW_INVALID} when a row names a folder outside the allowed folder */
  async getMany (ids: readonly string[]): Promise<ReadonlyMap<string, TenantDefinition>> {
    return this.#table.getMany(ids)
  }

  /** Lists all ids in sorted order, read page by page. */
  list (): AsyncIterable<string> {
    return this.#table.list()
  }

  /** Returns the id of the tenant that owns a host. */
  async resolveHost (host: string): Promise<string | null> {
    return this.#hosts.find(host)
  }

  /** Returns the number of tenants: exact up to 10,000, an estimate of PostgreSQL above. */
  async count (): Promise<number> {
    return this.#table.count()
  }

  /** Announces changes until the returned function is called. */
  watch (changed: (change?: TenantChange) => void, loaded: () => LoadedTenant[]): () => void {
    this.#changed = changed
    this.#loaded = loaded
    return () => { this.#changed = undefined }
  }

  /** Closes the connection that listens, and the pool unless it was given as an option. Further calls wait for the first one. */
  close (): Promise<void> {
    return (this.#closing ??= this.#close())
  }

  async #close (): Promise<void> {
    this.#notices.close()
    await this.#listener.close()
    // Keep the listener on an ended pool: its connections may still report errors.
    if (this.#ownsPool) return this.#pool.end()
    this.#pool.off('error', this.#onPoolError)
  }

  /** Announces that tenants may have been added: nobody was notified while there was no connection. */
  #onListening (): void {
    this.#changed?.()
    this.#log?.info('listening for tenant changes')
  }

  /** Announces that tenants may be added unnoticed, so that ids remembered as unknown are asked for again. */
  #onLost (err: Error): void {
    this.#changed?.()
    this.#log?.warn({ err }, 'lost the connection that listens for tenant changes; loaded tenants keep serving')
  }

  readonly #onPoolError = (err: Error): void => {
    this.#log?.warn({ err }, 'lost an idle connection to the tenant database')
  }
}

/**
 * Creates a source of tenants that are rows of a PostgreSQL table. Its method `migrate()` creates the table.
 * @throws {FST_TENANT_OPTION_INVALID} when an option is invalid
 */
export function postgresTenants (options: PostgresTenantsOptions): PostgresSource {
  return new PostgresSource(options)
}
