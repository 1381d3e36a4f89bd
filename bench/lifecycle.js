/*
 * What do those who send requests notice when tenants are loaded, reloaded, evicted and fail?
 *
 * The server runs in a process of its own, on real HTTP, and is loaded from here. The p99 under reloads, or beside broken tenants,
 * stands beside that of the same server and the same load without them, measured before and after it. Memory is that of the heap
 * after a forced garbage collection.
 */
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { Agent, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate, setTimeout } from 'node:timers/promises'
import autocannon from 'autocannon'
import Fastify from 'fastify'
import multitenant from 'fastify-multitenant'
import { randomNumbers } from './fuzz-core.js'
import { Latencies } from './support/latencies.js'
import { serve, startWorkers } from './support/workers.js'

const KNOWN = 10_000
const MAX_ACTIVE = 100
const HEALTHY = 20
/** Requests per second, and the connections that they come by. */
const RATE = 1000
const CONNECTIONS = 20
const workers = { coldStart, reloads, memory, residency, neighbours, disturbers }

if (process.send !== undefined) serve(await workers[process.argv[2]]())

/** The figures as rows of the table. */
export async function measure ({ quick }) {
  const { ask, end } = await startWorkers(import.meta.filename, Object.keys(workers), ['--expose-gc'])
  const rows = [
    ...await measureColdStart(ask),
    ...await measureReloads(ask, quick ? 1 : 10),
    ...await measureMemory(ask, quick ? 100 : 1000),
    ...await measureResidency(ask, quick ? 5_000 : 50_000),
    ...await measureNeighbours(ask, quick ? 1 : 10)
  ]
  end()
  return rows
}

async function measureColdStart (ask) {
  const { url } = await ask('coldStart')
  const agent = new Agent({ maxSockets: Infinity })
  const answers = await Promise.all(Array.from({ length: 1000 }, () => get(agent, url, 'acme')))
  agent.destroy()
  const { loads } = await ask('coldStart')
  return [
    { figure: '1,000 first requests at once', value: loads, unit: 'loads', atMost: 1 },
    { figure: '1,000 first requests at once', value: answers.filter(({ status }) => status !== 200).length, unit: 'errors', atMost: 0 }
  ]
}

/** A server with one tenant whose load takes a while. */
async function coldStart () {
  let loads = 0
  const plugin = async scope => {
    loads++
    await setTimeout(50)
    scope.get('/', async () => 'acme')
  }
  const url = await listen({ acme: { plugin } })
  return () => ({ url, loads })
}

async function measureReloads (ask, seconds) {
  const { url } = await ask('reloads', 0)
  await load(url, 1, 'acme')
  const before = await load(url, seconds, 'acme')
  const reloading = ask('reloads', { reloads: 100, pause: seconds * 1000 / 100 })
  const during = await load(url, seconds, 'acme')
  const { reloads } = await reloading
  const after = await load(url, seconds, 'acme')
  const undisturbed = (before.p99 + after.p99) / 2
  return [
    { figure: `${reloads} reloads under load`, value: during.rate, unit: 'requests/s' },
    { figure: 'the same load without reloads, p99', value: undisturbed, unit: 'ms' },
    { figure: `${reloads} reloads under load`, value: during.failed, unit: 'failed requests', atMost: 0 },
    { figure: `${reloads} reloads under load`, value: during.mixed, unit: 'replies of two generations', atMost: 0 },
    { figure: `${reloads} reloads under load`, value: during.p99 / undisturbed, unit: '× the undisturbed p99', atMost: 2 }
  ]
}

/** A server with one tenant, which is reloaded as often as it is asked to. */
async function reloads () {
  let loads = 0
  let app
  const plugin = async scope => {
    const mark = ++loads
    scope.decorate('mark', mark)
    scope.get('/', async request => {
      await setImmediate()
      return mark === scope.mark && mark === request.tenant.generation ? 'one' : 'mixed'
    })
  }
  const url = await listen({ acme: { plugin } }, {}, made => { app = made })
  await app.multitenant.init('acme')
  return async ({ reloads = 0, pause = 0 }) => {
    for (let reload = 0; reload < reloads; reload++) {
      await app.multitenant.reload('acme')
      await setTimeout(pause)
    }
    return { url, reloads }
  }
}

async function measureMemory (ask, count) {
  const rows = []
  for (const kind of ['config only', 'CommonJS', 'ES modules']) {
    const { kilobytes, alive } = await ask('memory', { kind, count })
    rows.push(
      { figure: `${count} reloads, ${kind}`, value: kilobytes, unit: 'KB a reload' },
      { figure: `${count} reloads, ${kind}`, value: alive, unit: 'old generations alive', atMost: 0 })
  }
  return rows
}

/** Reloads tenants whose code is 43 KB. */
async function memory () {
  const dir = await mkdtemp(join(tmpdir(), 'multitenant-bench-'))
  const ballast = `const ballast = [${Array.from({ length: 1000 }, (_, index) => `() => 'a function that is ${index}'`)}]`
  await tenantFolder(join(dir, 'esm'), 'index.mjs', `${ballast}\nexport default async app => { app.get('/', async () => ballast.length) }`)
  await tenantFolder(join(dir, 'cjs'), 'index.cjs', `${ballast}\nmodule.exports = async app => { app.get('/', async () => ballast.length) }`)
  const app = Fastify()
  app.register(multitenant, { tenants: dir })
  await app.ready()
  return async ({ kind, count }) => {
    const id = kind === 'CommonJS' ? 'cjs' : 'esm'
    const reload = async () => {
      const { drain } = await app.multitenant.reload(id, { code: kind !== 'config only' })
      await drain
    }
    const refs = []
    for (let warm = 0; warm < 20; warm++) await reload()
    const before = await heap()
    for (let time = 0; time < count; time++) {
      refs.push(new WeakRef(app.multitenant.get(id)))
      await reload()
    }
    const kilobytes = (await heap() - before) / 1024 / count
    return { kilobytes, alive: refs.filter(ref => ref.deref() !== undefined).length }
  }
}

async function measureResidency (ask, requests) {
  const { startMs, emptyMs, kilobytesKnown, mostActive, evictions, busyEvicted, failed } = await ask('residency', requests)
  return [
    { figure: `${requests} requests to ${KNOWN} known tenants, Zipf`, value: mostActive, unit: 'tenants loaded at most', atMost: MAX_ACTIVE },
    { figure: `${requests} requests to ${KNOWN} known tenants, Zipf`, value: evictions, unit: 'evictions' },
    { figure: `${requests} requests to ${KNOWN} known tenants, Zipf`, value: busyEvicted, unit: 'busy tenants evicted', atMost: 0 },
    { figure: `${requests} requests to ${KNOWN} known tenants, Zipf`, value: failed, unit: 'failed requests', atMost: 0 },
    { figure: `start with ${KNOWN} known tenants`, value: startMs / emptyMs, unit: '× the start with one' },
    { figure: 'a tenant that is known and not loaded', value: kilobytesKnown, unit: 'KB' }
  ]
}

/** Folders of tenants that differ in nothing but how often they are asked for. */
async function residency () {
  const [dir, one] = [await mkdtemp(join(tmpdir(), 'multitenant-bench-')), await mkdtemp(join(tmpdir(), 'multitenant-bench-'))]
  const ids = Array.from({ length: KNOWN }, (_, index) => `tenant-${index}`)
  for (const id of ids) await mkdir(join(dir, id))
  await mkdir(join(one, 'tenant-0'))
  return async requests => {
    const emptyMs = await start(one).then(async ({ app, ms }) => {
      await app.close()
      return ms
    })
    const before = await heap()
    const { app, ms: startMs } = await start(dir)
    await app.inject({ url: '/', headers: { 'x-tenant-id': ids[0] } })
    const kilobytesKnown = (await heap() - before) / 1024 / KNOWN
    const found = { mostActive: 0, failed: 0, busyEvicted: 0 }
    await zipf(app, ids, requests, found)
    const { evictions } = await app.multitenant.stats({ limit: 0 })
    await app.close()
    await Promise.all([rm(dir, { recursive: true }), rm(one, { recursive: true })])
    return { startMs, emptyMs, kilobytesKnown, evictions, ...found }
  }
}

async function start (tenants) {
  const started = performance.now()
  const app = Fastify()
  app.register(multitenant, { tenants, maxActive: MAX_ACTIVE })
  app.get('/', async request => {
    await setImmediate()
    return request.tenant.state
  })
  await app.ready()
  return { app, ms: performance.now() - started }
}

/** The tenant at rank n is asked for 1/n as often as the first. */
async function zipf (app, ids, requests, found) {
  const random = randomNumbers(1)
  let sent = 0
  const sampler = setInterval(async () => { found.mostActive = Math.max(found.mostActive, (await app.multitenant.stats({ limit: 0 })).active) }, 20)
  await Promise.all(Array.from({ length: 50 }, async () => {
    while (sent++ < requests) {
      const id = ids[Math.floor(ids.length ** random()) - 1]
      const { statusCode, body } = await app.inject({ url: '/', headers: { 'x-tenant-id': id } })
      if (statusCode !== 200) found.failed++
      else if (body !== 'active') found.busyEvicted++
    }
  }))
  clearInterval(sampler)
}

async function measureNeighbours (ask, seconds) {
  const { url } = await ask('neighbours')
  const healthy = Array.from({ length: HEALTHY }, (_, index) => `healthy-${index}`)
  await load(url, 1, ...healthy)
  const before = await load(url, seconds, ...healthy)
  const rows = [{ figure: `${HEALTHY} healthy tenants alone, p99`, value: before.p99, unit: 'ms' }]
  for (const [id, connections] of [['failing', 20], ['hanging', 20], ['flooding', 200]]) {
    await ask('disturbers', { url, id, connections })
    const during = await load(url, seconds, ...healthy)
    await ask('disturbers', null)
    const after = await load(url, seconds, ...healthy)
    rows.push(
      { figure: `${HEALTHY} healthy tenants beside a ${id} one`, value: during.failed, unit: 'failed requests', atMost: 0 },
      { figure: `${HEALTHY} healthy tenants beside a ${id} one`, value: during.p99 / ((before.p99 + after.p99) / 2), unit: '× the undisturbed p99', atMost: 2 })
  }
  return rows
}

/** A server with healthy tenants, one that cannot be loaded, one whose load never ends, and one that is slow and much asked for. */
async function neighbours () {
  const healthy = { plugin: async scope => { scope.get('/', async () => 'one') } }
  const url = await listen({
    ...Object.fromEntries(Array.from({ length: HEALTHY }, (_, index) => [`healthy-${index}`, healthy])),
    failing: { plugin: async () => { throw new Error('broken') } },
    hanging: { plugin: () => new Promise(() => {}) },
    flooding: {
      plugin: async scope => {
        scope.get('/', async () => {
          await setTimeout(1000)
          return 'slow'
        })
      }
    }
  }, { maxInFlight: 50, loadTimeout: 2_000 })
  return () => ({ url })
}

/** Sends the requests of the tenant that disturbs from a process of its own, so that they do not delay the load that is measured. */
async function disturbers () {
  let controller
  let disturbing
  return async task => {
    if (task === null) {
      controller.abort()
      await disturbing
      return null
    }
    controller = new AbortController()
    disturbing = disturb(task.url, task.id, task.connections, controller.signal)
    return null
  }
}

/** Keeps so many requests of one tenant going, a pause of 100 ms on average between two, until it is told to stop. Clients do not keep step. */
async function disturb (url, id, connections, signal) {
  const agent = new Agent({ keepAlive: true, maxSockets: connections })
  await Promise.all(Array.from({ length: connections }, async () => {
    while (!signal.aborted) {
      await get(agent, url, id).catch(() => {})
      await setTimeout(200 * Math.random())
    }
  }))
  agent.destroy()
}

/** Loads a server with the same rate each time: what it answers is the same work, and p99 is comparable. */
async function load (url, duration, ...ids) {
  let mixed = 0
  const latencies = new Latencies(CONNECTIONS * 1000 / RATE)
  const run = autocannon({
    url,
    duration,
    connections: CONNECTIONS,
    overallRate: RATE,
    requests: ids.map(id => ({ headers: { 'x-tenant-id': id }, onResponse: (_status, body) => { if (body === 'mixed') mixed++ } }))
  })
  run.on('response', (_client, _status, _bytes, ms) => latencies.add(ms))
  const result = await run
  return { p99: latencies.p99, rate: result.requests.average, failed: result.non2xx + result.errors, mixed }
}

async function listen (tenants, options = {}, made = () => {}) {
  const app = Fastify()
  app.register(multitenant, { ...options, tenants })
  made(app)
  return app.listen({ host: '127.0.0.1', port: 0 })
}

async function get (agent, url, id) {
  const sent = request(url, { agent, headers: { 'x-tenant-id': id } }).end()
  const [response] = await once(sent, 'response')
  response.resume()
  await once(response, 'end')
  return { status: response.statusCode }
}

async function tenantFolder (dir, name, code) {
  await mkdir(join(dir, 'routes'), { recursive: true })
  await writeFile(join(dir, 'config.json'), '{ "plan": "free" }')
  await writeFile(join(dir, 'routes', name), code)
}

/** Bytes in use when nothing is left to collect. */
async function heap () {
  for (let time = 0; time < 5; time++) {
    globalThis.gc()
    await setImmediate()
  }
  return process.memoryUsage().heapUsed
}
