/*
 * How long does the first request to a tenant wait for it to load?
 *
 * ms from the call to the loaded tenant, for tenants with ten routes and their schemas that are loaded one after the other: given in
 * code, or read from folders that each have a config, a schema and a module of routes. Beside them tenants that have a config and no
 * code of their own, alone or with a template of ten routes and a service, whose first load includes that of the template. For comparison
 * an app made of the same folder, and a worker thread with such an app. Plugins of one plain app all load at boot: theirs is the mean. Each
 * measurement has a process of its own. They take turns and are started several times; the median of the starts counts, with their spread. The
 * first loads count too, when V8 has optimized nothing.
 */
import { rm } from 'node:fs/promises'
import { contents } from './support/folders.js'
import { figures, homes, idsOf } from './support/homes.js'
import { percentile } from './support/percentile.js'
import { measureStarts, summarize } from './support/starts.js'
import { serve } from './support/workers.js'

/** How many tenants are loaded, by where they live. */
const COUNTS = { threads: 30, config: 10_000, template: 10_000 }
const COUNT = 500

const TARGETS = {
  folders: { p50: 5, p99: 30 },
  config: { p50: 0.1, p99: 1 }
}

if (process.send !== undefined) serve(count => measureLoads(process.argv[2], count))

/** The figures as rows of the table. */
export async function measure ({ quick }) {
  const names = Object.keys(homes)
  const countOf = home => (COUNTS[home] ?? COUNT) / (quick ? 5 : 1)
  const starts = home => quick || home === 'threads' ? 1 : 3
  const measured = await measureStarts(import.meta.filename, names, { starts }, (ask, home) => ask(countOf(home)))
  return names.flatMap(home => rowsOf(home, countOf(home), measured[home]))
}

function rowsOf (home, count, loads) {
  const kinds = home === 'plugins' ? ['mean'] : ['p50', 'p99']
  return kinds.map(kind => {
    const { median, spread } = summarize(loads.map(load => load[kind]))
    return { figure: figures[home], tenants: count, value: median, spread, unit: `ms, ${kind}`, atMost: TARGETS[home]?.[kind] }
  })
}

async function measureLoads (home, count) {
  const ids = idsOf(count)
  const { load, end, folder } = await homes[home](ids, contents.large)
  const times = []
  const started = performance.now()
  for (const id of ids) {
    const before = performance.now()
    await load(id)
    times.push(performance.now() - before)
  }
  await end()
  const mean = (performance.now() - started) / count
  if (folder !== undefined) await rm(folder, { recursive: true })
  return { mean, p50: percentile(times, 0.5), p99: percentile(times, 0.99) }
}
