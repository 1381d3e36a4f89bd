/*
 * How soon do all of four processes serve what was changed in the table of tenants, and what happens when PostgreSQL goes away?
 *
 * Four processes of one app, a real PostgreSQL of their own, real HTTP. `npm run bench:cluster`; with --quick the figures are rougher.
 * - A change: from the start of the UPDATE to the first moment at which each process has answered with the new config.
 * - The same with every connection to PostgreSQL killed in the transaction of the UPDATE, so that nobody is told of it.
 * - The time to be ready with 10 and with 100,000 rows.
 * - Restarts of PostgreSQL while all processes are asked for loaded tenants without a pause: an answer other than 200 has failed; a
 *   config is wrong when it is another tenant's, or older than one that the same process has answered with.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { Agent, get } from 'node:http'
import { join } from 'node:path'
import { json } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import pg from 'pg'
import { postgresTenants } from 'fastify-multitenant/postgres'
import { median } from './support/median.js'
import { percentile } from './support/percentile.js'
import { startPostgres } from './support/postgres.js'

const NODES = 4
const KILL = "select pg_terminate_backend(pid, 5000) from pg_stat_activity where application_name = 'fastify-multitenant';"
const TENANTS = 10
const agent = new Agent({ keepAlive: true })
const { values: { quick } } = parseArgs({ options: { quick: { type: 'boolean', default: false } } })

const database = await startPostgres()
const source = postgresTenants({ connectionString: database.connectionString })
await source.migrate()
await source.close()
await query(`insert into ${source.table} (id, config) select 'tenant-' || n, '{"at": 0}' from generate_series(1, ${TENANTS}) n`)
const ids = Array.from({ length: TENANTS }, (_, n) => `tenant-${n + 1}`)
let at = 0

const figures = []
try {
  const nodes = await Promise.all(Array.from({ length: NODES }, startNode))
  for (const node of nodes) for (const id of ids) await ask(node, id)
  const { rounds, kills, restarts, boots } = quick ? { rounds: 40, kills: 3, restarts: 3, boots: 3 } : { rounds: 500, kills: 20, restarts: 10, boots: 11 }
  add('a change, all processes: p50', percentile(await times(rounds, () => change(nodes, '')), 0.5), 'ms')
  add('a change, all processes: p99', percentile(await times(rounds, () => change(nodes, '')), 0.99), 'ms', 250)
  add('a change that was missed: longest', Math.max(...await times(kills, () => change(nodes, KILL))), 'ms', 5_000)
  Object.entries(await restartUnderLoad(nodes, restarts)).forEach(([figure, value]) => add(`${restarts} restarts: ${figure}`, value, '', figure === 'requests' ? undefined : 0))
  for (const { process } of nodes) process.disconnect()

  add('ready with 10 rows', await bootTime(boots), 'ms')
  await query(`insert into ${source.table} (id) select 'more-' || n from generate_series(${TENANTS + 1}, 100000) n; analyze ${source.table}`)
  add('ready with 100,000 rows', await bootTime(boots), 'ms')
} finally {
  agent.destroy()
  await database.remove()
}
console.table(figures, ['figure', 'value', 'unit', 'target'])

function add (figure, value, unit, target) {
  figures.push({ figure, value: Number(value.toPrecision(4)), unit, target })
}

async function startNode () {
  const node = fork(join(import.meta.dirname, 'support/node.js'), [database.connectionString])
  const [{ url, bootMs }] = await once(node, 'message')
  return { process: node, url, bootMs }
}

async function bootTime (count) {
  const boots = []
  for (let boot = 0; boot < count; boot++) {
    const { process, bootMs } = await startNode()
    boots.push(bootMs)
    process.disconnect()
    await once(process, 'exit')
  }
  return median(boots)
}

/** The reply of a node about a tenant; `null` when it fails. */
async function ask ({ url }, id) {
  const request = get(`${url}/config`, { agent, headers: { 'x-tenant-id': id } })
  const [response] = await once(request, 'response')
  const body = await json(response)
  return response.statusCode === 200 ? body : null
}

/** How long it takes until all nodes serve a change, in ms. */
async function change (nodes, before) {
  const id = ids[++at % TENANTS]
  const started = performance.now()
  await query(`${before} update ${source.table} set config = '{"at": ${at}}' where id = '${id}'`)
  await Promise.all(nodes.map(async node => {
    while ((await ask(node, id))?.at !== at) await sleep(2)
  }))
  return performance.now() - started
}

async function restartUnderLoad (nodes, restarts) {
  const counts = { requests: 0, 'failed requests': 0, 'wrong configs': 0 }
  const load = new AbortController()
  const clients = nodes.map(async node => {
    const seen = new Map()
    for (let n = 0; !load.signal.aborted; n++) {
      const id = ids[n % TENANTS]
      const config = await ask(node, id).catch(() => null)
      counts.requests++
      if (config === null) counts['failed requests']++
      else if (config.id !== id || config.at < (seen.get(id) ?? 0)) counts['wrong configs']++
      else seen.set(id, config.at)
    }
  })
  for (let restart = 0; restart < restarts; restart++) {
    await database.stop()
    await database.start()
    await change(nodes, '')
  }
  load.abort()
  await Promise.all(clients)
  return counts
}

async function times (count, work) {
  const taken = []
  for (let n = 0; n < count; n++) taken.push(await work())
  return taken
}

async function query (text) {
  const client = new pg.Client(database.connectionString)
  await client.connect()
  try {
    return await client.query(text)
  } finally {
    await client.end()
  }
}
