/*
 * Are healthy cold tenants served while others hang, and while a client floods the source with ids that nobody has?
 *
 * Each question has a process of its own, on real HTTP, and is asked from here.
 * - Hanging: 30 tenants whose load never ends are asked for, and then 60 healthy ones, none of which is loaded. Counted are the 200s.
 * - Flood: the tenants are in a real PostgreSQL. First a cold tenant is asked for while the app is idle, several times, each time
 *   another one. Then one connection pipelines 30,000 requests, each of another id that is no tenant's, and a cold tenant is asked for
 *   by another connection as soon as the flood has begun. Memory is the resident memory of the process, at most, above that before the
 *   flood. Slots are the tenants that `stats()` lists besides those that were asked for, when every request of the flood is answered or cut.
 *
 * Plain: the same flood meets a Fastify without this package, whose route waits for a few turns, and one more request is sent. It has no
 * target: it shows how much of the figures is Node's and Fastify's own.
 *
 * It writes nothing: `node bench/index.js starvation`.
 */
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { connect } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import Fastify from 'fastify'
import multitenant from 'fastify-multitenant'
import { postgresTenants } from 'fastify-multitenant/postgres'
import { median } from './support/median.js'
import { startPostgres } from './support/postgres.js'
import { serve, startWorkers } from './support/workers.js'

const HANGING = 30
const HEALTHY = 60
const FLOOD = 30_000
/** How many cold tenants are asked for while nothing else happens. */
const IDLE = 11
const workers = { hanging, flood, plain }

if (process.send !== undefined) serve(await workers[process.argv[2]]())

/** The figures as rows of the table. */
export async function measure ({ quick }) {
  const database = await startPostgres()
  process.env.BENCH_DATABASE = database.connectionString
  try {
    const { ask, end } = await startWorkers(import.meta.filename, Object.keys(workers), ['--expose-gc'])
    const count = quick ? FLOOD / 10 : FLOOD
    const rows = [...await measureHanging(ask), ...await measureFlood(ask, count), ...await measurePlain(ask, count)]
    end()
    return rows
  } finally {
    await database.remove()
  }
}

async function measureHanging (ask) {
  const { url } = await ask('hanging')
  const agent = new Agent({ maxSockets: Infinity })
  for (let index = 0; index < HANGING; index++) get(agent, url, `hanging-${index}`).catch(() => {})
  const answers = await Promise.all(Array.from({ length: HEALTHY }, (_, index) => get(agent, url, `healthy-${index}`)))
  agent.destroy()
  const slowest = Math.max(...answers.map(({ ms }) => ms))
  return [
    { figure: `${HEALTHY} cold tenants beside ${HANGING} that hang`, value: answers.filter(({ status }) => status === 200).length, unit: 'answered 200', atLeast: HEALTHY },
    { figure: `${HEALTHY} cold tenants beside ${HANGING} that hang`, value: slowest, unit: 'ms, the slowest' }
  ]
}

async function measureFlood (ask, count) {
  const { idle, status, ms, before, after } = await meetFlood(ask, 'flood', count)
  const figure = `a flood of ${count.toLocaleString('en')} unknown ids`
  return [
    { figure: 'a cold tenant, idle', value: idle, unit: 'ms, p50' },
    { figure: `a cold tenant in ${figure}`, value: ms, unit: 'ms', atMost: Math.max(3 * idle, 250) },
    { figure: `a cold tenant in ${figure}`, value: status === 200 ? 1 : 0, unit: 'answered 200', atLeast: 1 },
    { figure, value: after.peak - before.rss, unit: 'MB more at most', atMost: 50 },
    { figure, value: after.slots, unit: 'slots afterwards', atMost: 0 }
  ]
}

async function measurePlain (ask, count) {
  const { ms, before, after } = await meetFlood(ask, 'plain', count)
  const figure = `plain Fastify, a flood of ${count.toLocaleString('en')}`
  return [
    { figure: `a request to ${figure}`, value: ms, unit: 'ms' },
    { figure, value: after.peak - before.rss, unit: 'MB more at most' }
  ]
}

async function meetFlood (ask, worker, count) {
  const { url } = await ask(worker)
  const agent = new Agent()
  const times = []
  for (let index = 0; index < IDLE; index++) times.push((await get(agent, url, `tenant-${index}`)).ms)
  const before = await ask(worker)
  const socket = pipeline(url, count)
  await once(socket, 'data')
  const { status, ms } = await get(agent, url, 'tenant-100')
  await once(socket, 'close')
  const after = await ask(worker)
  agent.destroy()
  return { idle: median(times), status, ms, before, after }
}

/** A server with many tenants whose load never ends. */
async function hanging () {
  const app = Fastify()
  const tenants = {}
  for (let index = 0; index < HANGING; index++) tenants[`hanging-${index}`] = { plugin: () => new Promise(() => {}) }
  for (let index = 0; index < HEALTHY; index++) tenants[`healthy-${index}`] = { plugin: async scope => { scope.get('/', async () => 'healthy') } }
  app.register(multitenant, { tenants })
  return started(app)
}

/** A server whose tenants are in PostgreSQL, which tells how it is with each question. */
async function flood () {
  const customers = postgresTenants({ connectionString: process.env.BENCH_DATABASE })
  await customers.migrate()
  await insertTenants(customers.table)
  const app = Fastify()
  app.register(multitenant, { tenants: customers })
  app.get('/', async ({ tenantId }) => tenantId)
  const answer = await started(app)
  return watchMemory(async () => {
    const { tenants } = await app.multitenant.stats({ limit: 100_000 })
    return { ...answer(), slots: tenants.filter(({ id }) => !id.startsWith('tenant-')).length }
  })
}

/** A server without tenants. */
async function plain () {
  const app = Fastify()
  app.get('/', async ({ headers }) => {
    await setImmediate()
    return headers['x-tenant-id']
  })
  return watchMemory(await started(app))
}

/** Adds to what `answer` tells how much memory there is, and how much there was at most since the last question. */
function watchMemory (answer) {
  let peak = 0
  setInterval(() => { peak = Math.max(peak, megabytes()) }, 5).unref()
  return async () => {
    globalThis.gc()
    const state = { ...await answer(), rss: megabytes(), peak }
    peak = 0
    return state
  }
}

async function insertTenants (table) {
  const { default: pg } = await import('pg')
  const client = new pg.Client(process.env.BENCH_DATABASE)
  await client.connect()
  await client.query(`insert into ${table} (id) select 'tenant-' || n from generate_series(0, 200) n`)
  await client.end()
}

async function started (app) {
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  return () => ({ url })
}

function megabytes () {
  return process.memoryUsage.rss() / 1024 / 1024
}

async function get (agent, url, id) {
  const began = performance.now()
  const [response] = await once(request(url, { agent, headers: { 'x-tenant-id': id } }).end(), 'response')
  response.resume()
  await once(response, 'end')
  return { status: response.statusCode, ms: performance.now() - began }
}

/** Sends requests of so many unknown tenants by one connection. The last one asks to close it. */
function pipeline (url, count) {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  const head = id => `GET / HTTP/1.1\r\nhost: ${hostname}\r\nx-tenant-id: ${id}\r\n`
  for (let index = 1; index < count; index++) socket.write(`${head(`nobody-${index}`)}\r\n`)
  socket.write(`${head('nobody-0')}connection: close\r\n\r\n`)
  return socket.on('error', () => {}).resume()
}
