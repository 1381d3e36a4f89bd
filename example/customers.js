import pg from 'pg'
import { postgresTenants } from 'fastify-multitenant/postgres'

// What each customer has: nothing but a config, a template, or code of its own on its template.
const FIRST_CUSTOMERS = [
  { id: 'hooli', name: 'Hooli', config: { plan: 'trial' } },
  { id: 'initech', name: 'Initech', template: 'standard' },
  { id: 'acme', name: 'Acme Inc.', template: 'pro' },
  { id: 'globex', name: 'Globex Corporation', template: 'pro', dir: 'globex' }
]

/** The customers: rows of a table. Code stays in folders: a row names its template, the folder of its own code, or both. */
export async function openCustomers (connectionString) {
  const customers = postgresTenants({ connectionString, schema: 'customers', root: new URL('./tenants', import.meta.url) })
  await customers.migrate()
  await addFirstCustomers(connectionString, customers.table)
  return customers
}

/** Adds the customers that the table does not have yet. */
async function addFirstCustomers (connectionString, table) {
  const client = new pg.Client({ connectionString })
  await client.connect()
  try {
    for (const { id, name, template, dir, config = {} } of FIRST_CUSTOMERS) {
      await client.query(
        `insert into ${table} (id, name, template, dir, config) values ($1, $2, $3, $4, $5) on conflict do nothing`,
        [id, name, template, dir, config]
      )
    }
  } finally {
    await client.end()
  }
}
