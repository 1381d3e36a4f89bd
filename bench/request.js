/*
 * How long does a request take inside the process?
 *
 * One GET request that answers with a small JSON object, from the server's `request` event to the response's `close`, in microseconds of
 * processor time. Request and response are fakes without socket, parser or kernel, so nothing hides what a way to serve tenants
 * adds. The apps of support/apps.js answer the same request with so many tenants, which are asked in turn: code that serves
 * many scopes alternately is slower in any Fastify app, because V8 can specialize it for none of them, and the plain plugins with
 * prefixes show by how much. The headers of thousands of requests lie in memory before they are sent, which alone costs something: the hand-written
 * hook, which does no more than look a tenant up, shows how much. What does not answer at once is awaited, one request after the other. Each measurement has a process
 * of its own, which is warmed and then answers a fixed number of requests several times; the best of these times counts,
 * because what disturbs can only add to it. The apps take turns and are started several times: medians of all starts count, the minimums stand beside
 * them, and the spread of a ratio is that of the ratios of two processes in the same turn.
 */
import { strict as assert } from 'node:assert'
import { setImmediate } from 'node:timers/promises'
import { figures, start } from './support/apps.js'
import { closed, request } from './support/fake-http.js'
import { measureStarts, processorTime, ratios, summarize } from './support/starts.js'
import { serve } from './support/workers.js'

/** Requests that V8 optimizes the app by, and requests of one measurement. Each is several times the number of tenants. */
const WARM_UP = 100_000
const REQUESTS = 40_000
const MEASUREMENTS = 8
/** Requests without a turn of the event loop, in which what was put off for later is done. */
const BATCH = 100
const STARTS = 5

/** The numbers of tenants that each app is measured with. */
const TENANTS = {
  plain: [1],
  hook: [1, 1000, 10_000],
  shared: [1, 1000],
  config: [1, 100, 10_000],
  template: [1, 100, 10_000],
  tenant: [1, 100, 1000],
  known: [100],
  hooked: [1],
  prefixes: [1, 100, 1000],
  constraints: [30],
  giogaspa: [1, 1000],
  inject: [1, 10],
  threads: [1, 10]
}
/** Those that take many times as long for a request: they get a twentieth of the requests, and fewer starts. */
const SLOW = ['inject', 'threads']
const SLOW_PART = 20
const SLOW_STARTS = 2

/** What is compared, in the order of the table: the app and the number of its tenants, and those it is compared with. */
const RATIOS = [
  { run: 'config 10000', than: 'config 1', unit: '× one tenant', target: { atMost: 1.1 } },
  { run: 'template 10000', than: 'template 1', unit: '× one tenant', target: { atMost: 1.1 } },
  { run: 'hook 10000', than: 'hook 1', unit: '× one tenant' },
  { run: 'tenant 1000', than: 'prefixes 1000', unit: '× as many plain plugins with prefixes', target: { atMost: 1.5 } },
  { run: 'tenant 1000', than: 'tenant 1', unit: '× one tenant' },
  { run: 'prefixes 1000', than: 'prefixes 1', unit: '× one tenant' }
]

/** Known from profiles of these apps, and from V8's log of its inline caches. */
const WHY = {
  shared: "The tenant's routes are looked up before the app's, a lease is taken and given back, and two hooks run."
}

/** How much longer than plain Fastify. */
const DIFFERENCES = [
  { run: 'hook 1' },
  { run: 'shared 1', target: { atMost: 0.4, why: WHY.shared } },
  { run: 'config 1' },
  { run: 'template 1' },
  { run: 'tenant 1', target: { atMost: 1 } },
  { run: 'hooked 1' }
]

if (process.send !== undefined) serve(await prepare(...process.argv[2].split(' ')))

/** The figures as rows of the table. */
export async function measure ({ quick }) {
  const names = Object.entries(TENANTS).flatMap(([app, counts]) => (quick ? ends(counts) : counts).map(count => `${app} ${count}`))
  const starts = name => isSlow(name) ? SLOW_STARTS : STARTS
  const times = await measureStarts(import.meta.filename, names, { starts: name => quick ? 2 : starts(name) })
  const plain = times['plain 1']
  return [
    ...names.map(name => {
      const { median, spread } = summarize(times[name])
      return { ...named(name), value: median, spread, unit: 'µs' }
    }),
    ...DIFFERENCES.map(({ run, target }) => {
      const { median, spread } = summarize(times[run].map((time, turn) => time - plain[turn]))
      return { ...named(run), value: median, spread, unit: 'µs more than plain', ...target }
    }),
    ...RATIOS.flatMap(({ run, than, unit, target }) => {
      const { min, median, spread } = ratios(times[run], times[than])
      return [
        { ...named(run), value: median, spread, unit: `${unit}, median`, ...target },
        { ...named(run), value: min, unit: `${unit}, minimum` }
      ]
    })
  ]
}

function named (name) {
  const [app, count] = name.split(' ')
  return { figure: figures[app], tenants: Number(count) }
}

async function prepare (name, count) {
  const { app, requests } = await start(name, Number(count))
  for (const { url, headers } of requests) {
    const response = request(app, url, headers)
    if (!response.writableEnded) await closed(response)
    assert.equal(response.body, '{"hello":"world"}')
  }

  let sent = 0
  const send = async number => {
    for (let left = number; left > 0; left--) {
      const { url, headers } = requests[sent++ % requests.length]
      const response = request(app, url, headers)
      if (!response.writableEnded) await closed(response)
      else if (left % BATCH === 0) await setImmediate()
    }
  }
  const part = isSlow(name) ? SLOW_PART : 1
  return async () => {
    await send(WARM_UP / part)
    const times = []
    for (let measurement = 0; measurement < MEASUREMENTS; measurement++) times.push(await processorTime(REQUESTS / part, send))
    return Math.min(...times)
  }
}

function isSlow (name) {
  return SLOW.includes(name.split(' ')[0])
}

function ends (counts) {
  return [...new Set([counts[0], counts.at(-1)])]
}
