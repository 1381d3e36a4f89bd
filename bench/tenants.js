/*
 * How much memory does a loaded tenant take?
 *
 * KB of heap and of resident memory per tenant, after a forced garbage collection, when so many tenants of three routes each are
 * loaded one after the other: given in code, or read from folders that each have a config and a module of routes. For comparison
 * the same three routes in prefixed plugins of one plain Fastify app, which is what the routes cost without any tenants, in an app
 * for each tenant, and in a worker thread for each, of which there are few because each takes megabytes. Each in a process of its
 * own, which has loaded a few tenants before: what is loaded once for all is not counted.
 */
import { rm } from 'node:fs/promises'
import { setImmediate } from 'node:timers/promises'
import { contents } from './support/folders.js'
import { figures, homes, idsOf } from './support/homes.js'
import { serve, startWorkers } from './support/workers.js'

/** The numbers of tenants that each is measured with. */
const TENANTS = {
  plugins: [10, 100, 1000],
  code: [10, 100, 1000],
  folders: [10, 100, 1000],
  apps: [10, 100, 1000],
  threads: [3, 10, 30]
}

if (process.send !== undefined) serve(count => measureMemory(process.argv[2].split(' ')[0], count))

/** The figures as rows of the table. */
export async function measure ({ quick }) {
  const runs = Object.entries(TENANTS).flatMap(([home, counts]) =>
    (quick ? counts.slice(0, 2) : counts).map(count => ({ home, count, name: `${home} ${count}` })))
  const workers = await startWorkers(import.meta.filename, runs.map(({ name }) => name), ['--expose-gc'])
  const rows = []
  for (const { home, count, name } of runs) {
    const memory = await workers.ask(name, count)
    const target = ['code', 'folders'].includes(home) && count === Math.max(...TENANTS[home]) ? { atMost: 64 } : {}
    rows.push(
      { figure: figures[home], tenants: count, value: memory.heap, unit: 'KB of heap', ...target },
      { figure: figures[home], tenants: count, value: memory.rss, unit: 'KB resident' })
  }
  workers.end()
  return rows
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
