import { setTimeout as delay } from 'node:timers/promises'
import { startApps } from './fuzz/apps.js'
import { Findings } from './fuzz/findings.js'
import { converse } from './fuzz/http1.js'
import { multiplex } from './fuzz/http2.js'
import { inject, manage } from './fuzz/lifecycle.js'
import { Chance } from './fuzz/random.js'

/** Parts of a run that can be left out. */
export const PARTS = ['pipelined upgrades', 'throwing closes', 'handlers after aborts', 'routes with their own identify', 'HTTP/2']

/** A run that has found so many errors ends. */
const ENOUGH = 20

/** How often each thing is done. */
const ACTIONS = { connection: 76, http2: 10, inject: 9, manage: 5 }

/**
 * Sends requests of all kinds to tenants that are loaded, reloaded, evicted, suspended, resumed, unloaded and left by their clients at
 * random, and reports whatever should not happen. All choices follow from the seed and the number of the action alone.
 *
 * With a `sabotage` a guard is off: the run ends as soon as it has found what shows that.
 */
export async function fuzz ({ Fastify, multitenant, tenants, requests, seed, without = [], sabotage, from = 0, to = Infinity, concurrency = Math.ceil(tenants / 4) }) {
  const unknown = without.find(part => !PARTS.includes(part))
  if (unknown !== undefined) throw new Error(`There is no part '${unknown}'. The parts are: ${PARTS.join(', ')}`)
  const world = makeWorld({ Fastify, multitenant, tenants, seed, without, sabotage })
  const stopListening = listenForUncaught(world.findings)
  sabotage?.world?.(world)
  const restore = sabotage?.patch?.(world)
  try {
    const hosts = (await startApps(world)).map(app => ({ app, port: app.server.address().port, suspensions: new Map(), resumes: new Map() }))
    const isDone = () => world.findings.total >= ENOUGH || world.counts.requests >= (sabotage?.requests ?? requests) || sabotage?.finds.some(kind => world.findings.counts[kind] > 0)
    let action = from
    const worker = async () => {
      while (action < to && !isDone()) await act(action++, world, hosts)
    }
    await Promise.all(Array.from({ length: concurrency }, worker))
    await finish(hosts, world)
  } finally {
    restore?.()
    stopListening()
  }
  const { counts, findings } = world
  return { seed, counts, found: findings.counts, total: findings.total, examples: findings.examples }
}

function makeWorld ({ Fastify, multitenant, tenants, seed, without, sabotage }) {
  return {
    Fastify,
    multitenant,
    tenants,
    seed,
    maxActive: Math.ceil(tenants / 3),
    order: seed % 2 === 0 ? 'registered' : 'first',
    // A sabotaged run may have leases that never end.
    drainTimeout: sabotage === undefined ? 10_000 : 200,
    patience: sabotage === undefined ? 15_000 : 5_000,
    findings: new Findings(),
    counts: { requests: 0, answered: 0, refused: 0, aborted: 0, upgraded: 0, reload: 0, unload: 0, suspend: 0, resume: 0, init: 0, run: 0, loads: 0, evictions: 0 },
    has: part => !without.includes(part),
    serviceOf: service => service,
    prepare: () => {},
    lastService: undefined
  }
}

function listenForUncaught (findings) {
  const note = error => findings.note('uncaught', undefined, error?.stack ?? String(error))
  process.on('uncaughtException', note)
  process.on('unhandledRejection', note)
  return () => {
    process.off('uncaughtException', note)
    process.off('unhandledRejection', note)
  }
}

async function act (action, world, [http1, http2]) {
  const chance = new Chance(world.seed, action)
  const kind = chance.weighted(ACTIONS)
  if (kind === 'connection') return converse(chance, action, world, http1)
  if (kind === 'inject') return inject(chance, action, world, http1)
  const second = world.has('HTTP/2')
  if (kind === 'http2') return second ? multiplex(chance, action, world, http2) : converse(chance, action, world, http1)
  return manage(chance, action, world, second && chance.happens(0.2) ? http2 : http1)
}

/** When the last client has gone, no tenant has a request, and every generation comes to its end. */
async function finish (hosts, world) {
  for (const { app } of hosts) {
    const left = async () => (await app.multitenant.stats({ limit: Infinity })).tenants.filter(({ inFlight }) => inFlight > 0)
    for (let tries = 0; tries < 40 && (await left()).length > 0; tries++) await delay(25)
    await Promise.all((await left()).map(async ({ id, inFlight }) => {
      const report = await app.multitenant.unload(id)
      for (const { url } of report?.forced ?? []) world.findings.note('leasesLeft', /n=(\d+)/.exec(url)?.[1], `${inFlight} of ${id}: ${url}`)
    }))
    const { loads, reloads, evictions } = await app.multitenant.stats({ limit: 0 })
    world.counts.loads += loads + reloads
    world.counts.evictions += evictions
  }
  const close = async ({ app }) => app.close().catch(error => world.findings.note('wrongReply', undefined, `the app's close: ${error.stack}`))
  const controller = new AbortController()
  const closed = Promise.all(hosts.map(close)).then(() => true)
  // Not unreferenced: where nothing else keeps the process alive, it would end without a report.
  const late = delay(world.patience, false, { signal: controller.signal }).catch(() => true)
  if (!await Promise.race([closed, late])) world.findings.note('noReply', undefined, 'the app did not close')
  controller.abort()
}
