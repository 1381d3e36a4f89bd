/*
 * How long does a request take inside the process?
 *
 * One GET request that answers with a small JSON object, from the server's `request` event to the response's `close`, in
 * microseconds. Request and response are fakes without socket, parser or kernel, so nothing hides what a way to serve tenants
 * adds. The apps of support/apps.js answer the same request, each in a process of its own and with so many tenants, which are
 * asked in turn: code that serves many scopes alternately is slower in any Fastify app, because V8 can specialize it for none
 * of them, and the plain plugins with prefixes show by how much. What does not answer at once is awaited, one request after the
 * other. The rounds are interleaved; medians count, and differences and ratios are taken within a round.
 */
import { strict as assert } from 'node:assert'
import { figures, start } from './support/apps.js'
import { closed, request } from './support/fake-http.js'
import { median } from './support/median.js'
import { serve, startWorkers } from './support/workers.js'

/** ns that a round of an app takes, and requests between two looks at the clock. */
const ROUND = 8_000_000
const BATCH = 100

/** Rounds before the first that counts. */
const WARM_UP = 30

/** The numbers of tenants that each app is measured with. */
const TENANTS = {
  plain: [1, 1000],
  hook: [1, 1000],
  shared: [1, 1000],
  tenant: [1, 10, 100, 1000],
  known: [100],
  hooked: [1, 1000],
  prefixes: [1, 10, 100, 1000],
  constraints: [1, 30],
  giogaspa: [1, 1000],
  inject: [1, 10, 100],
  threads: [1, 10]
}

/** Known from profiles of these apps, and from V8's log of its inline caches. */
const WHY = {
  shared: "The tenant's routes are looked up before the app's, a lease is taken and given back, and two hooks run.",
  thousand: "Each request reads some kilobytes that are its tenant's alone: its counters, its router, its route and their hooks. Those of 1,000 " +
    'tenants are more than the processor keeps at hand.'
}

if (process.send !== undefined) serve(await prepare(...process.argv[2].split(' ')))

/** The figures as rows of the table. */
export async function measure ({ quick }) {
  const runs = Object.entries(TENANTS).flatMap(([app, counts]) => (quick ? ends(counts) : counts).map(count => ({ app, count, name: `${app} ${count}` })))
  const workers = await startWorkers(import.meta.filename, runs.map(({ name }) => name))
  const rounds = []
  for (let round = 0; round < (quick ? 20 : 200); round++) {
    const times = {}
    for (const { name } of runs) times[name] = await workers.ask(name)
    rounds.push(times)
  }
  workers.end()

  const more = name => median(rounds.map(times => times[name] - times['plain 1']))
  const percent = (name, than) => median(rounds.map(times => times[name] / times[than])) * 100
  return [
    ...runs.map(({ app, count, name }) => ({
      figure: figures[app], tenants: count, value: median(rounds.map(times => times[name])), unit: 'µs'
    })),
    { figure: figures.hook, tenants: 1, value: more('hook 1'), unit: 'µs more than plain' },
    { figure: figures.shared, tenants: 1, value: more('shared 1'), unit: 'µs more than plain', atMost: 0.4, why: WHY.shared },
    { figure: figures.tenant, tenants: 1, value: more('tenant 1'), unit: 'µs more than plain', atMost: 1 },
    { figure: figures.hooked, tenants: 1, value: more('hooked 1'), unit: 'µs more than plain' },
    { figure: figures.tenant, tenants: 1000, value: percent('tenant 1000', 'tenant 1'), unit: '% of one tenant', atMost: 103, why: WHY.thousand },
    { figure: figures.prefixes, tenants: 1000, value: percent('prefixes 1000', 'prefixes 1'), unit: '% of one tenant' },
    { figure: figures.plain, tenants: 1000, value: percent('plain 1000', 'plain 1'), unit: '% of one tenant' }
  ]
}

async function prepare (name, count) {
  const { app, requests } = await start(name, Number(count))
  for (const { url, headers } of requests) {
    const response = request(app, url, headers)
    if (!response.writableEnded) await closed(response)
    assert.equal(response.body, '{"hello":"world"}')
  }

  let sent = 0
  const measureRound = async () => {
    const before = sent
    const started = process.hrtime.bigint()
    let elapsed
    do {
      for (let left = BATCH; left > 0; left--) {
        const { url, headers } = requests[sent++ % requests.length]
        const response = request(app, url, headers)
        if (!response.writableEnded) await closed(response)
      }
      elapsed = Number(process.hrtime.bigint() - started)
    } while (elapsed < ROUND)
    return elapsed / 1000 / (sent - before)
  }
  for (let round = 0; round < WARM_UP; round++) await measureRound()
  return measureRound
}

function ends (counts) {
  return [...new Set([counts[0], counts.at(-1)])]
}
