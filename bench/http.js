/*
 * How many requests per second over HTTP?
 *
 * The same request as in request.js over a real socket, loaded by autocannon with 50 connections, for ten tenants in turn. The
 * server runs in a process of its own and leaves the other core to the load generator. Only one of the apps is loaded at a
 * time; the rounds are interleaved, each gives the ratio of an app to plain Fastify, and the median of these ratios counts.
 */
import autocannon from 'autocannon'
import { start } from './support/apps.js'
import { median } from './support/median.js'
import { serve, startWorkers } from './support/workers.js'

const APPS = ['plain', 'shared', 'tenant']
const TENANTS = 10

if (process.send !== undefined) {
  const { app, headers } = await start(process.argv[2], TENANTS)
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  serve(() => ({ url, headers }))
}

/** The figures as rows of the table. */
export async function measure ({ quick }) {
  const workers = await startWorkers(import.meta.filename, APPS)
  const rounds = []
  for (const name of APPS) await load(await workers.ask(name), 1)
  for (let round = 0; round < (quick ? 3 : 11); round++) {
    const rates = {}
    for (const name of APPS) rates[name] = await load(await workers.ask(name), quick ? 1 : 3)
    rounds.push(rates)
  }
  workers.end()

  return [
    { figure: 'plain Fastify', value: median(rounds.map(({ plain }) => plain)), unit: 'requests/s' },
    { figure: "the app's route for a tenant", value: median(rounds.map(({ plain, shared }) => shared / plain)) * 100, unit: '% of plain' },
    { figure: "a tenant's own route", value: median(rounds.map(({ plain, tenant }) => tenant / plain)) * 100, unit: '% of plain' }
  ]
}

/** Requests per second. */
async function load ({ url, headers }, duration) {
  const result = await autocannon({
    url: `${url}/hello`,
    connections: 50,
    duration,
    requests: headers.map(each => ({ headers: each }))
  })
  if (result.non2xx > 0 || result.errors > 0) throw new Error(`${result.non2xx + result.errors} requests failed`)
  return result['2xx'] / result.duration
}
