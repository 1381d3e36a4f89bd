// Starts the example: PostgreSQL (unless DATABASE_URL names one), then the app. Ctrl-C ends both.
import { join } from 'node:path'
import { buildApp } from './app.js'
import { openCustomers } from './customers.js'
import { startPostgres } from './postgres.js'

const dataDir = process.env.EXAMPLE_DATA ?? join(import.meta.dirname, '.data')
const opened = []
let closingSince = 0

for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, stop)

const started = start()
started.then(printCurlLines, fail)

async function start () {
  const port = readPort()
  const connectionString = process.env.DATABASE_URL ?? await openPostgres()
  const tenants = await openCustomers(connectionString)
  const app = buildApp({ connectionString, tenants, logger: true })
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
  const curl = (id, path) => `curl -i -H 'x-tenant-id: ${id}' ${url}${path}`
  const post = (id, note) => `curl -i -H 'x-tenant-id: ${id}' -H 'content-type: application/json' -d '${note}' ${url}/notes`
  console.log(`
Hooli has a config and nothing else, so the app's routes answer:
  ${curl('hooli', '/me')}
  ${curl('hooli', '/greeting')}

Initech and Acme have the routes of a template, Initech of standard and Acme of pro:
  ${curl('initech', '/me')}
  ${curl('acme', '/me')}
  ${curl('initech', '/reports')}
  ${curl('acme', '/reports')}

The templates check a note with schemas of their own, and each customer has its own notes:
  ${post('initech', '{"text":"Order staplers"}')}
  ${post('acme', '{"text":"Order anvils"}')}
  ${post('acme', '{"text":"Order anvils","priority":"high"}')}
  ${curl('acme', '/notes')}

Globex has code of its own on the template pro:
  ${curl('globex', '/greeting')}
  ${curl('globex', '/reports')}

A customer that does not exist:
  ${curl('umbrella', '/me')}

The customers are rows in ${connectionString}. All processes follow what changes there:
  update customers.tenants set template = 'pro' where id = 'initech';
  update customers.tenants set active = false where id = 'hooli';
`)
}
