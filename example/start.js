// Starts the example: PostgreSQL (unless DATABASE_URL names one), then the app. Ctrl-C ends both. With --table the tenants are rows
// of a table, and not just folders: `npm start -- --table`.
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { buildApp } from './app.js'
import { startPostgres } from './postgres.js'
import { tenantsTable } from './tenants-table.js'

const { values: { table } } = parseArgs({ options: { table: { type: 'boolean', default: false } } })

const dataDir = process.env.EXAMPLE_DATA ?? join(import.meta.dirname, '.data')
const opened = []
let closingSince = 0

for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, stop)

const started = start()
started.then(printCurlLines, fail)

async function start () {
  const port = readPort()
  const connectionString = process.env.DATABASE_URL ?? await openPostgres()
  const tenants = table ? await tenantsTable(connectionString) : undefined
  const app = buildApp({ connectionString, logger: true, tenants })
  opened.unshift(app)
  const url = await app.listen({ host: '127.0.0.1', port })
  return { url, connectionString }
}

/** Call this before the start of the database, which takes a while. */
function readPort () {
  const { PORT = '3000' } = process.env
  if (/^\d+$/.test(PORT) && Number(PORT) <= 65_535) return Number(PORT)
  throw Object.assign(new Error(`PORT must be a whole number from 0 to 65535, not '${PORT}'`), { code: 'PORT_INVALID' })
}

async function openPostgres () {
  const postgres = await startPostgres(dataDir)
  opened.unshift(postgres)
  return postgres.connectionString
}

async function stop () {
  // npm sends a second signal for the same Ctrl-C; a person takes longer to press it again.
  if (closingSince > 0 && Date.now() - closingSince > 500) process.exit(1)
  if (closingSince > 0) return
  closingSince = Date.now()
  console.log('\nClosing: requests in flight end first. Ctrl-C again to force.')
  await started.catch(() => {})
  await close()
}

async function fail (err) {
  console.error(explain(err))
  process.exitCode = 1
  if (closingSince === 0) await close()
}

/** Prints one line for an error that the user can fix, and a stack for any other. */
function explain (err) {
  switch (err.code) {
    case 'EADDRINUSE': return `Port ${err.port} is taken. Choose another: PORT=${err.port + 1} npm start`
    case 'PORT_INVALID': return err.message
    case 'POSTGRES_NOT_STARTED': return `${err.message}: it says why above`
    default: return err
  }
}

/** Closes the last opened first, so the app still has its database while its requests finish. */
async function close () {
  for (const resource of opened) await resource.close()
}

function printCurlLines ({ url, connectionString }) {
  if (closingSince > 0) return
  if (table) printTable(connectionString)
  console.log(`
A route that all tenants share, and what each answers is its own:
  curl -i -H 'x-tenant-id: acme' ${url}/me
  curl -i -H 'x-tenant-id: initech' ${url}/me

A route that only Acme has:
  curl -i -H 'x-tenant-id: acme' ${url}/reports
  curl -i -H 'x-tenant-id: globex' ${url}/reports

A shared route, and Globex which overrides it:
  curl -i -H 'x-tenant-id: acme' ${url}/greeting
  curl -i -H 'x-tenant-id: globex' ${url}/greeting

A POST that Acme checks with its own JSON schema, one that fits and one that does not:
  curl -i -H 'x-tenant-id: acme' -H 'content-type: application/json' -d '{"text":"Order anvils","priority":"high"}' ${url}/notes
  curl -i -H 'x-tenant-id: acme' -H 'content-type: application/json' -d '{"text":"Order anvils","priority":"soon"}' ${url}/notes
  curl -i -H 'x-tenant-id: acme' ${url}/notes

A tenant that does not exist:
  curl -i -H 'x-tenant-id: umbrella' ${url}/me
`)
}

function printTable (connectionString) {
  console.log(`
The tenants are rows in ${connectionString}. All processes follow what changes there:
  update example.tenants set config = '{"plan": "free"}' where id = 'acme';
  update example.tenants set active = false where id = 'initech';
`)
}
