/*
 * How many requests per second over HTTP, and how long do the slowest take?
 *
 * The same request as in request.js over a real socket, loaded by autocannon with 50 connections. Each connection asks for tenants
 * of its own, 20 in turn, so the load generator does the same work whatever the number of tenants. The server runs in a process
 * of its own. On a machine of two cores it shares them with the load generator, and worker threads share theirs with the server.
 * Only one of the apps is loaded at a time; the rounds are interleaved, each gives the ratios of the apps to plain Fastify, and the
 * medians of these ratios count: for requests per second, for the time that the server's process works for a request, which other
 * work on the machine disturbs least, and for the time that 99 of 100 requests do not pass. Two processes of the same app differ by
 * some percent for as long as they live, so all are started three times, the second time in the opposite order. V8 sizes the space for
 * young objects by what a process has been through: left to itself the same app takes 16 or 22 us a request, so here it is fixed for
 * all. As many requests as possible are sent:
 * p99 is the wait behind 49 others and follows the rate.
 */
import autocannon from 'autocannon'
import { figures, start } from './support/apps.js'
import { Latencies } from './support/latencies.js'
import { median } from './support/median.js'
import { serve, startWorkers } from './support/workers.js'

const CONNECTIONS = 50
const STARTS = 3
/** Rounds after each start, the first of which does not count: V8 has optimized nothing. */
const ROUNDS = 5
const REQUESTS_OF_EACH = 20
/** MB: what V8 grows to by itself under load. */
const YOUNG_SPACE = ['--min-semi-space-size=16', '--max-semi-space-size=16']

/** The app and the number of its tenants. --quick takes the first ones. */
const RUNS = [
  'plain 1', 'hook 1', 'shared 1', 'tenant 1', 'tenant 1000', 'tenant 100', 'known 100', 'prefixes 1000', 'constraints 30',
  'giogaspa 10', 'inject 10', 'threads 10'
]
const QUICK = 5

const TARGETS = { 'tenant 1': { atLeast: 97 }, 'shared 1': { atLeast: 99 } }

if (process.send !== undefined) {
  const [name, count] = process.argv[2].split(' ')
  const { app, requests } = await start(name, Number(count))
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  serve(() => ({ url, requests, processor: process.cpuUsage() }))
}

/** The figures as rows of the table. */
export async function measure ({ quick }) {
  const runs = quick ? RUNS.slice(0, QUICK) : RUNS
  const rounds = []
  for (let start = 0; start < (quick ? 1 : STARTS); start++) rounds.push(...await loadAll(start === 1 ? runs.toReversed() : runs, quick ? 2 : ROUNDS))

  const ratio = (what, run, than) => median(rounds.map(loads => loads[run][what] / loads[than][what]))
  const rate = (run, than) => ratio('rate', run, than) * 100
  return [
    { figure: figures.plain, tenants: 1, value: median(rounds.map(loads => loads['plain 1'].rate)), unit: 'requests/s' },
    ...runs.slice(1).map(run => ({ ...named(run), value: rate(run, 'plain 1'), unit: '% of the rate of plain', ...TARGETS[run] })),
    { ...named('tenant 1'), value: rate('tenant 1', 'hook 1'), unit: '% of the rate of the hook', atLeast: 98 },
    { ...named('tenant 1000'), value: rate('tenant 1000', 'tenant 1'), unit: '% of the rate of one tenant', atLeast: 97 },
    ...runs.slice(1).map(run => ({ ...named(run), value: ratio('processor', run, 'plain 1'), unit: '× the processor time of plain' })),
    ...runs.slice(1).map(run => ({ ...named(run), value: ratio('p99', run, 'plain 1'), unit: '× the p99 of plain' }))
  ]
}

function named (run) {
  const [app, count] = run.split(' ')
  return { figure: figures[app], tenants: Number(count) }
}

/** Loads each app in each round. */
async function loadAll (runs, count) {
  const workers = await startWorkers(import.meta.filename, runs, YOUNG_SPACE)
  const rounds = []
  for (let round = 0; round < count; round++) {
    const loads = {}
    for (const run of runs) loads[run] = await load(() => workers.ask(run), 1)
    rounds.push(loads)
  }
  workers.end()
  return rounds.slice(1)
}

/** Requests per second, the p99 in ms, and the microseconds that the server's process works for a request. */
async function load (ask, duration) {
  const { url, requests, processor: before } = await ask()
  // All requests are sent as soon as possible, so none is kept back by a pace.
  const latencies = new Latencies(Infinity)
  let connection = 0
  const run = autocannon({
    url,
    duration,
    connections: CONNECTIONS,
    setupClient: client => client.setRequests(requestsOf(connection++, requests))
  })
  run.on('response', (_client, _status, _bytes, ms) => latencies.add(ms))
  const result = await run
  if (result.non2xx > 0 || result.errors > 0) throw new Error(`${result.non2xx + result.errors} requests failed`)
  const { processor: after } = await ask()
  const processor = (after.user + after.system - before.user - before.system) / result['2xx']
  return { rate: result['2xx'] / result.duration, processor, p99: latencies.p99 }
}

/** The requests of one connection. */
function requestsOf (connection, requests) {
  return Array.from({ length: REQUESTS_OF_EACH }, (_, index) => {
    const { url, headers } = requests[(connection * REQUESTS_OF_EACH + index) % requests.length]
    return { method: 'GET', path: url, headers: { ...headers } }
  })
}
