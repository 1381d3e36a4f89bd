import pg from 'pg'
import { postgresTenants } from 'fastify-multitenant/postgres'

const FOLDERS = new URL('./tenants', import.meta.url)

/** The tenants of the example as rows of a table. Their code stays in their folders; the table holds their ids and config. */
export async function tenantsTable (connectionString) {
  const tenants = postgresTenants({ connectionString, schema: 'example', root: FOLDERS })
  await tenants.migrate()
  await addTenants(connectionString, tenants.table)
  return tenants
}

/** Adds the tenants that the table does not have yet. */
async function addTenants (connectionString, table) {
  const client = new pg.Client({ connectionString })
  await client.connect()
  try {
    await client.query(`insert into ${table} (id, dir) select id, id from unnest($1::text[]) as id on conflict do nothing`, [['acme', 'globex', 'initech']])
  } finally {
    await client.end()
  }
}
