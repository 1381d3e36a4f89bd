import pg from 'pg'

// PostgreSQL cuts longer names off, and two tenants could end up in one schema.
const LONGEST_NAME = 63

/** A PostgreSQL schema of one tenant. All tenants share the app's pool. */
export class TenantDatabase {
  #pg
  #name
  #schema

  constructor (pool, tenantId) {
    this.#pg = pool
    this.#name = `tenant_${tenantId}`
    this.#schema = pg.escapeIdentifier(this.#name)
    if (this.#name.length > LONGEST_NAME) throw new Error(`The schema name ${this.#name} is too long`)
  }

  /** The full name of one of the tenant's tables. Unlike a search_path, it works on any connection. */
  table (name) {
    return `${this.#schema}.${pg.escapeIdentifier(name)}`
  }

  query (text, values) {
    return this.#pg.query(text, values)
  }

  /** Creates what does not exist yet. */
  async createTables () {
    await this.#pg.transact(async (client) => {
      // Several processes may load the tenant at once, and "if not exists" alone can fail then.
      await client.query('select pg_advisory_xact_lock(hashtext($1))', [this.#name])
      await client.query(`create schema if not exists ${this.#schema}`)
      await client.query(`create table if not exists ${this.table('notes')} (
        id integer generated always as identity primary key,
        body jsonb not null
      )`)
    })
  }
}
