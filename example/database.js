import pg from 'pg'

// PostgreSQL cuts longer names off, and two tenants could end up in one schema.
const LONGEST_NAME = 63

/** A plugin for a tenant: gives it a PostgreSQL schema of its own, and `app.db` to query it. */
export async function tenantDatabase (app, { tenant }) {
  const name = `tenant_${tenant.id}`
  if (name.length > LONGEST_NAME) throw new Error(`The schema name ${name} is too long`)

  const schema = pg.escapeIdentifier(name)
  const db = {
    /** The full name of one of the tenant's tables. Unlike a search_path, it works on any connection. */
    table: (table) => `${schema}.${pg.escapeIdentifier(table)}`,
    query: (text, values) => app.pg.query(text, values)
  }

  await app.pg.transact(async (client) => {
    // Several processes may load the tenant at once, and "if not exists" alone can fail then.
    await client.query('select pg_advisory_xact_lock(hashtext($1))', [name])
    await client.query(`create schema if not exists ${schema}`)
    await client.query(`create table if not exists ${db.table('notes')} (
      id integer generated always as identity primary key,
      body jsonb not null
    )`)
  })

  app.decorate('db', db)
}
