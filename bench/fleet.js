/*
 * How does a fleet of four processes serve 100,000 customers that share three templates?
 *
 * A real PostgreSQL of its own holds a row for each customer, which names its template. Four processes of one app answer over real HTTP.
 * Requests come at an even pace, however long the answers take, and their customers are drawn by Zipf's law. There is no load balancer:
 * the client chooses the process, first by a consistent hash of the customer's id, then at random, each time with fresh processes. A
 * request is cold if it is the first of its customer in its process: its answer waits for the row. It has failed if the
 * answer is not the customer's own. Processes are warmed by cold requests of other customers before, and their failures count too.
 * `npm run bench:fleet`, about three minutes; with --quick ten seconds of requests for each way to choose. `--rate` sets the
 * requests per second, for a machine that cannot do as many: one that does not keep up measures its own queue.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { Agent } from 'node:http'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import pg from 'pg'
import { postgresTenants } from 'fastify-multitenant/postgres'
import { makeRing, nodeOf } from './support/hash-ring.js'
import { getTimed, sendPaced } from './support/paced-load.js'
import { percentile } from './support/percentile.js'
import { startPostgres } from './support/postgres.js'
import { makeRandom, zipf } from './support/zipf.js'

const NODES = 4
const CUSTOMERS = 100_000
const TEMPLATES = ['standard', 'shop', 'blog']
/** `maxResident` of each process: enough for all. */
const MAX_RESIDENT = 100_000
const SKEW = 1
/** Other customers, by which each way to choose a process is warmed. */
const WARM_UP = 2_000

const { values: { quick, rate } } = parseArgs({ options: { quick: { type: 'boolean', default: false }, rate: { type: 'string', default: '500' } } })
const seconds = quick ? 10 : 60
const random = makeRandom(1)
const ring = makeRing(NODES)
const balancers = {
  'consistent hash': id => nodeOf(ring, id),
  'any node': () => Math.floor(random() * NODES)
}

const database = await startPostgres()
const figures = []
try {
  await insertCustomers()
  for (const [name, choose] of Object.entries(balancers)) figures.push(...await measureFleet(name, choose))
} finally {
  await database.remove()
}
console.table(figures, ['figure', 'value', 'unit', 'target'])

/** The n-th customer has the template whose turn it is. */
async function insertCustomers () {
  const source = postgresTenants({ connectionString: database.connectionString })
  await source.migrate()
  await source.close()
  const client = new pg.Client(database.connectionString)
  await client.connect()
  await client.query(`
    insert into ${source.table} (id, template, config)
    select 'customer-' || n, ($1::text[])[1 + n % ${TEMPLATES.length}], jsonb_build_object('plan', 'plan-' || n % 10)
    from generate_series(0, ${CUSTOMERS + WARM_UP - 1}) n`, [TEMPLATES])
  await client.query(`analyze ${source.table}`)
  await client.end()
}

async function measureFleet (name, choose) {
  const nodes = await Promise.all(Array.from({ length: NODES }, startNode))
  let other = CUSTOMERS
  const warmUp = await sendRequests(nodes, choose, WARM_UP / Number(rate), () => other++)
  const counts = await sendRequests(nodes, choose, seconds, zipf(CUSTOMERS, SKEW, makeRandom(2)))
  const stats = await Promise.all(nodes.map(statsOf))
  for (const { process } of nodes) process.disconnect()
  await Promise.all(nodes.map(({ ended }) => ended))
  const row = (figure, value, unit, target) => ({ figure: `${name}: ${figure}`, value: Number(value.toPrecision(4)), unit, target })
  return [
    row('requests', counts.warm.length + counts.cold.length, ''),
    row('failed requests', warmUp.failed + counts.failed, '', 0),
    row('cold requests', counts.cold.length, ''),
    row('cold requests, p50', percentile(counts.cold, 0.5), 'ms'),
    row('cold requests, p99', percentile(counts.cold, 0.99), 'ms', 50),
    row('warm requests, p99', percentile(counts.warm, 0.99), 'ms'),
    row('evictions', stats.reduce((sum, { evictions }) => sum + evictions, 0), '', 0),
    row('tenants loaded in a process, most', Math.max(...stats.map(({ active }) => active)), ''),
    row('resident memory of a process, most', Math.max(...stats.map(({ megabytes }) => megabytes)), 'MB')
  ]
}

async function startNode () {
  const node = fork(join(import.meta.dirname, 'support/fleet-node.js'), [database.connectionString, TEMPLATES.join(), MAX_RESIDENT])
  const [{ url }] = await once(node, 'message')
  return { process: node, url: `${url}/me`, seen: new Set(), ended: once(node, 'exit') }
}

async function statsOf ({ process }) {
  process.send('stats')
  const [stats] = await once(process, 'message')
  return stats
}

/** Times in ms, and how many answers are not the customer's. */
async function sendRequests (nodes, choose, seconds, draw) {
  const agent = new Agent({ keepAlive: true })
  const counts = { warm: [], cold: [], failed: 0 }
  await sendPaced(Number(rate), seconds, async () => {
    const customer = draw()
    const id = `customer-${customer}`
    const { url, seen } = nodes[choose(id)]
    const times = seen.has(id) ? counts.warm : counts.cold
    seen.add(id)
    const { status, body, ms } = await getTimed(agent, url, id)
    times.push(ms)
    const own = JSON.stringify({ id, template: TEMPLATES[customer % TEMPLATES.length], plan: `plan-${customer % 10}` })
    if (status === 200 && body === own) return
    if (counts.failed++ === 0) console.error(`${id} got ${status} and ${body}`)
  })
  agent.destroy()
  return counts
}
