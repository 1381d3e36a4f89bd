/*
 * How much memory does a loaded tenant take?
 *
 * KB of heap and of resident memory per tenant, after a forced garbage collection, when so many tenants of three routes each are
 * loaded one after the other: given in code, or read from folders that each have a config and a module of routes. Beside them tenants
 * that have a config and no code of their own, alone or with a template of three routes and a service. For comparison
 * the same three routes in prefixed plugins of one plain Fastify app, which is what the routes cost without any tenants, in an app
 * for each tenant, and in a worker thread for each, of which there are few because each takes megabytes. Each in a process of its
 * own, which has loaded a few tenants before: what is loaded once for all is not counted. With 100,000 tenants the resident memory
 * of the whole process counts, before any forced collection.
 */
import { rm } from 'node:fs/promises'
import { setImmediate } from 'node:timers/promises'
import { contents } from './support/folders.js'
import { figures, homes, idsOf } from './support/homes.js'
import { measureStarts } from './support/starts.js'
import { serve } from './support/workers.js'

/** The numbers of tenants that each is measured with. */
const TENANTS = {
  plugins: [10, 100, 1000],
  code: [10, 100, 1000],
  folders: [10, 100, 1000],
  config: [100, 1000, 10_000],
  template: [100, 1000, 10_000],
  apps: [10, 100, 1000],
  threads: [3, 10, 30]
}

/** KB of heap at most, with as many tenants as each is measured with. */
const TARGETS = { code: 40, folders: 48, config: 3, template: 3 }

const FLEET = 100_000
const FLEET_HOMES = ['config', 'template']

if (process.send !== undefined) serve(await measurement(...process.argv[2].split(' ')))

/** The figures as rows of the table. */
export async function measure ({ quick }) {
  const runs = Object.entries(TENANTS).flatMap(([home, counts]) => (quick ? quickOf(home, counts) : counts).map(count => `${home} ${count}`))
  const fleets = FLEET_HOMES.map(home => `${home} ${FLEET}`)
  const measured = await measureStarts(import.meta.filename, [...runs, ...fleets], { starts: () => 1, execArgv: ['--expose-gc'] })
  return [
    ...runs.flatMap(name => rowsOf(name, measured[name][0])),
    ...fleets.map(name => ({ ...named(name), value: measured[name][0].megabytes, unit: 'MB resident in all', atMost: 500 }))
  ]
}

function rowsOf (name, { heap, rss }) {
  const [home, count] = name.split(' ')
  const target = TARGETS[home] !== undefined && Number(count) === Math.max(...TENANTS[home]) ? { atMost: TARGETS[home] } : {}
  return [{ ...named(name), value: heap, unit: 'KB of heap', ...target }, { ...named(name), value: rss, unit: 'KB resident' }]
}

function named (name) {
  const [home, count] = name.split(' ')
  return { figure: figures[home], tenants: Number(count) }
}

/** Thousands of tenants without code of their own are soon loaded. */
function quickOf (home, counts) {
  return FLEET_HOMES.includes(home) ? counts : counts.slice(0, 2)
}

function measurement (home, count) {
  return Number(count) === FLEET ? () => measureResident(home, FLEET) : () => measureMemory(home, Number(count))
}

/** Megabytes of the whole process. */
async function measureResident (home, count) {
  await fill(home, count)
  return { megabytes: process.memoryUsage().rss / 1024 ** 2 }
}

async function measureMemory (home, count) {
  const few = await fill(home, 3)
  const before = await memoryOf(few.threads)
  const all = await fill(home, count)
  const after = await memoryOf([...few.threads, ...all.threads])
  return { heap: (after.heap - before.heap) / 1024 / count, rss: (after.rss - before.rss) / 1024 / count }
}

/** Loads so many tenants, and answers with what holds them. */
async function fill (home, count) {
  const ids = idsOf(count)
  const filled = await homes[home](ids, contents.small)
  for (const id of ids) await filled.load(id)
  await filled.end()
  if (filled.folder !== undefined) await rm(filled.folder, { recursive: true })
  return { threads: [], ...filled }
}

/** Bytes in use when nothing is left to collect. */
async function memoryOf (threads) {
  for (let time = 0; time < 3; time++) {
    globalThis.gc()
    await setImmediate()
  }
  const heaps = await Promise.all(threads.map(thread => thread.heap()))
  const { heapUsed, rss } = process.memoryUsage()
  return { heap: heaps.reduce((sum, heap) => sum + heap, heapUsed), rss }
}
