/*
 * What does it cost a process to compare 100,000 loaded tenants with the table of PostgreSQL, as it does every ten seconds?
 *
 * A real PostgreSQL of its own, and the package's own code from the query to the reloads. The tenants are not real: a reload ends in
 * the next turn of the event loop, and loads nothing. Each round is a process of its own, which compares a few times before each
 * measurement. Measured are the time until the comparison has ended, the same until all reloads have, the processor time that the
 * process has used by then, and the longest delay of its event loop.
 * - unchanged: no row has changed since the last comparison.
 * - 10, 1,000 and all changed: so many rows have been updated, and no message has told the process.
 * Medians of the rounds. Of the delay also the lowest: the other processes of the machine only add to it. `node bench/index.js reconcile`; with --quick there are fewer rounds.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setImmediate, setTimeout } from 'node:timers/promises'
import pg from 'pg'
import { postgresTenants } from 'fastify-multitenant/postgres'
import { HostLookup } from '../dist/lib/hosts/host-lookup.js'
import { Comparison } from '../dist/lib/sources/postgres/comparison.js'
import { queryOf } from '../dist/lib/sources/postgres/connections.js'
import { Names } from '../dist/lib/sources/postgres/names.js'
import { TenantTable } from '../dist/lib/sources/postgres/table.js'
import { Refusals } from '../dist/lib/tenants/refusals.js'
import { SourceChanges } from '../dist/lib/tenants/source-changes.js'
import { median } from './support/median.js'
import { startPostgres } from './support/postgres.js'
import { serve, startWorkers } from './support/workers.js'

const TENANTS = 100_000
const SCHEMA = 'multitenant'
/** Comparisons before a measurement: as many as make V8 compile what runs every ten seconds. */
const WARM_UP = 8
const CASES = { unchanged: 0, '10 changed': 10, '1,000 changed': 1_000, 'all changed': TENANTS }
const FIGURES = { delay: 'longest delay of the event loop', cpu: 'processor time', compared: 'time of the comparison', ended: 'time until all are reloaded' }

if (process.send !== undefined) serve(await compareAs(process.argv[2]))

/** The figures as rows of the table. */
export async function measure ({ quick }) {
  const database = await startPostgres()
  const results = []
  try {
    await fill(database.connectionString)
    for (let round = 0; round < (quick ? 1 : 5); round++) {
      const { ask, end } = await startWorkers(import.meta.filename, [database.connectionString], ['--expose-gc'])
      results.push(await ask(database.connectionString))
      end()
    }
  } finally {
    await database.remove()
  }
  return Object.keys(CASES).flatMap(name => Object.entries(FIGURES).map(([key, figure]) => {
    const values = results.map(result => result[name][key])
    const row = (what, value, more) => ({ figure: `${name}: ${figure}${what}`, tenants: TENANTS, value, unit: 'ms', ...more })
    return key === 'delay' ? [row(', lowest', Math.min(...values)), row('', median(values), { atMost: 50 })] : [row('', median(values))]
  }).flat())
}

async function fill (connectionString) {
  const source = postgresTenants({ connectionString, schema: SCHEMA })
  await source.migrate()
  await source.close()
  const client = new pg.Client(connectionString)
  await client.connect()
  await client.query(`insert into ${source.table} (id, template, config)
    select 'tenant-' || n, 'standard', jsonb_build_object('plan', 'pro', 'note', repeat('x', 200)) from generate_series(1, ${TENANTS}) n`)
  await client.query(`vacuum analyze ${source.table}`)
  await client.end()
}

/** In a worker: returns the function that measures each case once. */
async function compareAs (connectionString) {
  const names = new Names(SCHEMA, undefined)
  const client = new pg.Client(connectionString)
  await client.connect()
  const query = queryOf(client)
  const subject = makeProcess(new TenantTable(names, query, '/'), query)
  return async () => {
    const results = {}
    for (const [name, count] of Object.entries(CASES)) {
      subject.load((await client.query(`select id, version::text from ${names.tenants}`)).rows)
      for (let n = 0; n < WARM_UP; n++) await subject.compare()
      if (count > 0) await client.query(`update ${names.tenants} set name = clock_timestamp()::text where substr(id, 8)::int % ${TENANTS / count} = 0`)
      globalThis.gc()
      results[name] = await measured(subject, count)
    }
    subject.close()
    await client.end()
    return results
  }
}

async function measured (subject, count) {
  const loop = monitorEventLoopDelay({ resolution: 1 })
  const { user, system } = process.cpuUsage()
  const started = performance.now()
  loop.enable()
  await subject.compare()
  const compared = performance.now() - started
  while (subject.reloads() < count) await setTimeout(1)
  const ended = performance.now() - started
  loop.disable()
  const cpu = process.cpuUsage()
  return { delay: loop.max / 1e6, cpu: (cpu.user + cpu.system - user - system) / 1000, compared, ended }
}

/** The parts of a process that follow changes of the table, and tenants in memory that are only ids and versions. */
function makeProcess (table, query) {
  const slots = new Map()
  let watched
  let reloads = 0
  const log = { warn () {}, info () {} }
  const registry = {
    slots: { get: id => slots.get(id), [Symbol.iterator]: () => slots.values() },
    lookups: { changed () {} },
    active: id => slots.get(id)?.current
  }
  const watch = (changed, loaded) => { watched = { changed, loaded } }
  const refusals = new Refusals(0, {})
  const hosts = new HostLookup({ resolveHost: () => null, timeout: 10_000, log })
  const changes = new SourceChanges({ options: { source: { watch } }, refusals, registry, hosts, log }, async () => {
    await setImmediate()
    reloads++
  })
  const comparison = new Comparison({ table, loaded: () => watched.loaded(), announce: change => watched.changed(change) })
  return {
    compare: () => comparison.run(query),
    reloads: () => reloads,
    close: () => changes.close(),
    load (rows) {
      reloads = 0
      for (const { id, version } of rows) slots.set(id, { current: { id, version }, loadedOrLoading: true })
    }
  }
}
