/*
 * How much longer does a server's process work for a request over HTTP?
 *
 * The same request as in request.js over real sockets: 50 connections of autocannon send as much as they can. Each asks for 200 tenants of
 * its own in turn, so the load generator does the same work whatever the number of tenants. A server runs in a process that is started
 * for one measurement: it is warmed under the same load, then answers a fixed number of requests several times. What counts is the
 * processor time of this process for a request, which other work on the machine and the load generator beside it disturb least.
 * Of one process, the best time counts: what disturbs can only add to it. The apps take turns, and each is started several times, because two processes
 * of the same app differ by some percent for as long as they live. Ratios are those of the medians of all starts, and of the
 * minimums; the spread is that of the ratios of two processes in the same turn.
 */
import autocannon from 'autocannon'
import { figures, start } from './support/apps.js'
import { measureStarts, ratios, summarize } from './support/starts.js'
import { serve } from './support/workers.js'

const CONNECTIONS = 50
const REQUESTS_OF_EACH = 200
/** Requests that V8 optimizes the app by, and requests of one measurement. */
const WARM_UP = 40_000
const REQUESTS = 20_000
const MEASUREMENTS = 4

/** The app and the number of its tenants, with the number of starts: more where a target is. */
const RUNS = {
  'plain 1': 7,
  'hook 1': 5,
  'shared 1': 7,
  'tenant 1': 7,
  'config 10000': 7,
  'template 10000': 5,
  'tenant 1000': 3,
  'prefixes 1000': 3,
  'giogaspa 10': 2,
  'inject 10': 2,
  'threads 10': 2
}
/** Those that work ten times as long for a request, and get a tenth of the requests. */
const SLOW = ['inject 10', 'threads 10']
/** What --quick measures, each started twice. */
const QUICK = ['plain 1', 'shared 1', 'tenant 1', 'config 10000']

const TARGETS = { 'tenant 1': { atMost: 1.04 }, 'shared 1': { atMost: 1.05 }, 'config 10000': { atMost: 1.05 } }

if (process.send !== undefined) {
  const [name, count] = process.argv[2].split(' ')
  const { app, requests } = await start(name, Number(count))
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  serve(() => ({ url, requests, processor: process.cpuUsage() }))
}

/** The figures as rows of the table. */
export async function measure ({ quick }) {
  const names = quick ? QUICK : Object.keys(RUNS)
  const times = await measureStarts(import.meta.filename, names, { starts: name => quick ? 2 : RUNS[name] }, measureServer)
  const plain = times['plain 1']
  const { min, median, spread } = summarize(plain)
  return [
    { figure: figures.plain, tenants: 1, value: median, spread, unit: 'µs of processor time, median' },
    { figure: figures.plain, tenants: 1, value: min, unit: 'µs of processor time, minimum' },
    ...names.slice(1).flatMap(name => rowsOf(name, ratios(times[name], plain)))
  ]
}

function rowsOf (name, { min, median, spread }) {
  const [app, count] = name.split(' ')
  const named = { figure: figures[app], tenants: Number(count) }
  return [
    { ...named, value: median, spread, unit: '× the processor time of plain, median', ...TARGETS[name] },
    { ...named, value: min, unit: '× the processor time of plain, minimum' }
  ]
}

/** The microseconds that a server's process works for a request. */
async function measureServer (ask, name) {
  const part = SLOW.includes(name) ? 10 : 1
  await load(ask, WARM_UP / part)
  const times = []
  for (let measurement = 0; measurement < MEASUREMENTS; measurement++) times.push(await load(ask, REQUESTS / part))
  return Math.min(...times)
}

async function load (ask, amount) {
  const { url, requests, processor: before } = await ask()
  let connection = 0
  const result = await autocannon({
    url,
    amount,
    connections: CONNECTIONS,
    setupClient: client => client.setRequests(requestsOf(connection++, requests))
  })
  if (result['2xx'] !== amount) throw new Error(`${amount - result['2xx']} requests failed`)
  const { processor: after } = await ask()
  return (after.user + after.system - before.user - before.system) / amount
}

/** The requests of one connection. */
function requestsOf (connection, requests) {
  return Array.from({ length: REQUESTS_OF_EACH }, (_, index) => {
    const { url, headers } = requests[(connection * REQUESTS_OF_EACH + index) % requests.length]
    return { method: 'GET', path: url, headers: { ...headers } }
  })
}
