/*
 * How long does the first request to a tenant wait for it to load?
 *
 * ms from the call to the loaded tenant, for tenants with ten routes and their schemas that are loaded one after the other: given in
 * code, or read from folders that each have a config, a schema and a module of routes. For comparison an app made of the same
 * folder, and a worker thread with such an app. Plugins of one plain app all load at boot: theirs is the mean. Each in a process of
 * its own. The first loads count too, when V8 has optimized nothing.
 */
import { rm } from 'node:fs/promises'
import { contents } from './support/folders.js'
import { figures, homes, idsOf } from './support/homes.js'
import { Latencies } from './support/latencies.js'
import { median } from './support/median.js'
import { serve, startWorkers } from './support/workers.js'

if (process.send !== undefined) serve(count => measureLoads(process.argv[2], count))

/** The figures as rows of the table. */
export async function measure ({ quick }) {
  const workers = await startWorkers(import.meta.filename, Object.keys(homes))
  const rows = []
  for (const home of Object.keys(homes)) {
    const count = (home === 'threads' ? 30 : 500) / (quick ? 5 : 1)
    const times = await workers.ask(home, count)
    rows.push(...rowsOf(home, count, times))
  }
  workers.end()
  return rows
}

function rowsOf (home, count, { mean, p50, p99 }) {
  const named = { figure: figures[home], tenants: count }
  if (home === 'plugins') return [{ ...named, value: mean, unit: 'ms, mean' }]
  const targets = home === 'folders' ? [{ atMost: 5 }, { atMost: 30 }] : []
  return [{ ...named, value: p50, unit: 'ms, p50', ...targets[0] }, { ...named, value: p99, unit: 'ms, p99', ...targets[1] }]
}

async function measureLoads (home, count) {
  const ids = idsOf(count)
  const { load, end, folder } = await homes[home](ids, contents.large)
  const times = []
  const latencies = new Latencies(Infinity)
  const started = performance.now()
  for (const id of ids) {
    const before = performance.now()
    await load(id)
    times.push(performance.now() - before)
    latencies.add(times.at(-1))
  }
  await end()
  const mean = (performance.now() - started) / count
  if (folder !== undefined) await rm(folder, { recursive: true })
  return { mean, p50: median(times), p99: latencies.p99 }
}
