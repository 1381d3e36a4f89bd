/*
 * What do those who send requests notice when tenants are loaded, reloaded, evicted and fail?
 *
 * The server runs in a process of its own, on real HTTP. Requests are sent from here at an even pace, however long the answers take. The
 * p99 under reloads, or beside a tenant that disturbs, is compared with that of the same server and the same load without them, measured
 * before and after it. This is repeated in several rounds with fresh processes: the median of the ratios counts, with their
 * spread. Beside it stands plain Fastify with a hand-written limit under the same flood, because the server, the flood and
 * the clients share the machine. Memory is that of the heap after a forced garbage collection.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { Agent } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate, setTimeout } from 'node:timers/promises'
import Fastify from 'fastify'
import multitenant from 'fastify-multitenant'
import { getTimed, sendPaced } from './support/paced-load.js'
import { percentile } from './support/percentile.js'
import { summarize, YOUNG_SPACE } from './support/starts.js'
import { serve, startWorkers } from './support/workers.js'
import { makeRandom, zipf } from './support/zipf.js'

const KNOWN = 10_000
const MAX_LOADED = 100
const HEALTHY = 20
/** Requests of one tenant that are answered at a time. The one that floods sends four times as many. */
const MAX_IN_FLIGHT = 50
/** Requests per second. */
const RATE = 1000
const workers = { coldStart, reloads, memory, residency, neighbours, plainNeighbours, disturbers }

if (process.send !== undefined) serve(await workers[process.argv[2]]())

/** The figures as rows of the table. */
export async function measure ({ quick }) {
  return [
    ...await inFresh(['coldStart'], measureColdStart),
    ...await measureReloads(quick ? 2 : 5, quick ? 1 : 2),
    ...await inFresh(['memory'], ask => measureMemory(ask, quick ? 100 : 1000)),
    ...await inFresh(['residency'], ask => measureResidency(ask, quick ? 5_000 : 50_000)),
    ...await measureNeighbours(quick ? 2 : 5, quick ? 1 : 3)
  ]
}

/** Does the work with fresh processes, which end after it. */
async function inFresh (names, work) {
  const { ask, end } = await startWorkers(import.meta.filename, names, ['--expose-gc', ...YOUNG_SPACE])
  const result = await work(ask)
  await end()
  return result
}

async function measureColdStart (ask) {
  const { url } = await ask('coldStart')
  const agent = new Agent({ maxSockets: Infinity })
  const answers = await Promise.all(Array.from({ length: 1000 }, () => getTimed(agent, url, 'acme')))
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

async function measureReloads (count, seconds) {
  const reloads = 20
  const rounds = []
  for (let round = 0; round < count; round++) rounds.push(await inFresh(['reloads'], ask => reloadUnderLoad(ask, reloads, seconds)))

  const figure = `${reloads * count} reloads under load`
  const { median, spread } = summarize(rounds.map(({ ratio }) => ratio))
  const undisturbed = summarize(rounds.map(({ undisturbed }) => undisturbed))
  return [
    { figure: 'the same load without reloads, p99', value: undisturbed.median, spread: undisturbed.spread, unit: 'ms' },
    { figure, value: sum(rounds, 'failed'), unit: 'failed requests', atMost: 0 },
    { figure, value: sum(rounds, 'mixed'), unit: 'replies of two generations', atMost: 0 },
    { figure, value: median, spread, unit: '× the undisturbed p99', atMost: 2 }
  ]
}

async function reloadUnderLoad (ask, reloads, seconds) {
  const { url } = await ask('reloads', 0)
  await load(url, 1, ['acme'])
  const before = await load(url, seconds, ['acme'])
  const reloading = ask('reloads', { reloads, pause: seconds * 1000 / reloads })
  const during = await load(url, seconds, ['acme'])
  await reloading
  const after = await load(url, seconds, ['acme'])
  return { ...compare(before, during, after), mixed: during.mixed }
}

/** The p99 of a disturbed load against those before and after it. */
function compare (before, during, after) {
  const undisturbed = (before.p99 + after.p99) / 2
  return { undisturbed, ratio: during.p99 / undisturbed, failed: before.failed + during.failed + after.failed }
}

function sum (rounds, name) {
  return rounds.reduce((sum, round) => sum + round[name], 0)
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
    { figure: `${requests} requests to ${KNOWN} known tenants, Zipf`, value: mostActive, unit: 'tenants loaded at most', atMost: MAX_LOADED },
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
    await askByZipf(app, ids, requests, found)
    const { evictions } = await app.multitenant.stats({ limit: 0 })
    await app.close()
    await Promise.all([rm(dir, { recursive: true }), rm(one, { recursive: true })])
    return { startMs, emptyMs, kilobytesKnown, evictions, ...found }
  }
}

async function start (tenants) {
  const started = performance.now()
  const app = Fastify()
  // Folders without code get no scope, so `maxResident` limits them; those with code would be limited by `maxActive` in the same way.
  app.register(multitenant, { tenants, maxActive: MAX_LOADED, maxResident: MAX_LOADED })
  app.get('/', async request => {
    await setImmediate()
    return request.tenant.state
  })
  await app.ready()
  return { app, ms: performance.now() - started }
}

/** Sends requests by 50 clients. The tenant at rank n is asked for 1/n as often as the first. */
async function askByZipf (app, ids, requests, found) {
  const draw = zipf(ids.length, 1, makeRandom(1))
  let sent = 0
  const sampler = setInterval(async () => { found.mostActive = Math.max(found.mostActive, (await app.multitenant.stats({ limit: 0 })).active) }, 20)
  await Promise.all(Array.from({ length: 50 }, async () => {
    while (sent++ < requests) {
      const id = ids[draw()]
      const { statusCode, body } = await app.inject({ url: '/', headers: { 'x-tenant-id': id } })
      if (statusCode !== 200) found.failed++
      else if (body !== 'active') found.busyEvicted++
    }
  }))
  clearInterval(sampler)
}

async function measureNeighbours (count, seconds) {
  const rounds = []
  for (let round = 0; round < count; round++) {
    rounds.push({
      ...await inFresh(['neighbours', 'disturbers'], ask => disturbInTurn(ask, 'neighbours', ['failing', 'hanging', 'flooding'], seconds)),
      plain: (await inFresh(['plainNeighbours', 'disturbers'], ask => disturbInTurn(ask, 'plainNeighbours', ['flooding'], seconds))).flooding
    })
  }
  const alone = summarize(rounds.map(({ flooding }) => flooding.undisturbed))
  return [
    { figure: `${HEALTHY} healthy tenants alone, p99`, value: alone.median, spread: alone.spread, unit: 'ms' },
    ...['failing', 'hanging', 'flooding'].flatMap(id => neighbourRows(`${HEALTHY} healthy tenants beside a ${id} one`, rounds.map(round => round[id]), { atMost: 2 })),
    ...neighbourRows('the same flood on plain Fastify with a hand-written limit', rounds.map(({ plain }) => plain), {})
  ]
}

function neighbourRows (figure, rounds, target) {
  const { median, spread } = summarize(rounds.map(({ ratio }) => ratio))
  return [
    { figure, value: sum(rounds, 'failed'), unit: 'failed requests', atMost: 0 },
    { figure, value: median, spread, unit: '× the undisturbed p99', ...target }
  ]
}

/** Loads the healthy tenants of a server alone and beside each of some tenants in turn. */
async function disturbInTurn (ask, server, ids, seconds) {
  const { url } = await ask(server)
  const healthy = Array.from({ length: HEALTHY }, (_, index) => `healthy-${index}`)
  await load(url, 1, healthy)
  let before = await load(url, seconds, healthy)
  const compared = {}
  for (const id of ids) {
    await ask('disturbers', { url, id, connections: id === 'flooding' ? 4 * MAX_IN_FLIGHT : 20 })
    const during = await load(url, seconds, healthy)
    await ask('disturbers', null)
    const after = await load(url, seconds, healthy)
    compared[id] = compare(before, during, after)
    before = after
  }
  return compared
}

/** A server with healthy tenants, one that cannot be loaded, one whose load never ends, and one that is slow and much asked for. */
async function neighbours () {
  const healthy = { plugin: async scope => { scope.get('/', async () => 'one') } }
  const url = await listen({
    ...Object.fromEntries(Array.from({ length: HEALTHY }, (_, index) => [`healthy-${index}`, healthy])),
    failing: { plugin: async () => { throw new Error('broken') } },
    hanging: { plugin: () => new Promise(() => {}) },
    flooding: { plugin: async scope => { scope.get('/', slowHandler) } }
  }, { maxInFlight: MAX_IN_FLIGHT, loadTimeout: 2_000 })
  return () => ({ url })
}

/** The same healthy and flooding tenants in plain Fastify, each with a limit that is a counter. */
async function plainNeighbours () {
  const app = Fastify()
  const inFlight = new Map()
  app.addHook('onRequest', (request, reply, done) => {
    const id = request.headers['x-tenant-id']
    const count = inFlight.get(id) ?? 0
    if (count >= MAX_IN_FLIGHT) return reply.code(503).send(new Error('Too many requests'))
    inFlight.set(id, count + 1)
    reply.raw.once('close', () => inFlight.set(id, inFlight.get(id) - 1))
    done()
  })
  app.get('/', request => request.headers['x-tenant-id'] === 'flooding' ? slowHandler() : Promise.resolve('one'))
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  return () => ({ url })
}

async function slowHandler () {
  await setTimeout(1000)
  return 'slow'
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
      await getTimed(agent, url, id)
      await setTimeout(200 * Math.random())
    }
  }))
  agent.destroy()
}

/** Loads a server with the same rate each time: what it answers is the same work, and p99 is comparable. */
async function load (url, seconds, ids) {
  const agent = new Agent({ keepAlive: true })
  const times = []
  const counts = { failed: 0, mixed: 0 }
  await sendPaced(RATE, seconds, async n => {
    const { status, body, ms } = await getTimed(agent, url, ids[n % ids.length])
    times.push(ms)
    if (status !== 200) counts.failed++
    else if (body === 'mixed') counts.mixed++
  })
  agent.destroy()
  return { p99: percentile(times, 0.99), ...counts }
}

async function listen (tenants, options = {}, made = () => {}) {
  const app = Fastify()
  app.register(multitenant, { ...options, tenants })
  made(app)
  return app.listen({ host: '127.0.0.1', port: 0 })
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
