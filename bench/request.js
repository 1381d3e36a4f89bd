/*
 * How long does a request take inside the process?
 *
 * One GET request that answers with a small JSON object, from the server's `request` event to the response's `close`, in
 * microseconds. Request and response are fakes without socket, parser or kernel, so nothing hides what the plugin adds. The
 * apps of support/apps.js answer the same request, each in a process of its own: a plain route, a plain route behind a
 * hand-written tenant hook, the app's own route for a tenant, and a tenant's own route. The last comes twice, with one tenant
 * and with 100 that are asked in turn: code that serves many tenants alternately is slower in any Fastify app, because V8 can
 * specialize it for none of them. The rounds are interleaved; the median of them counts.
 */
import { strict as assert } from 'node:assert'
import { start } from './support/apps.js'
import { request } from './support/fake-http.js'
import { median } from './support/median.js'
import { serve, startWorkers } from './support/workers.js'

const REQUESTS = 5000

/** The app and the number of its tenants. */
const WORKERS = ['plain 1', 'hook 1', 'shared 1', 'tenant 1', 'tenant 100']

if (process.send !== undefined) serve(await prepare(...process.argv[2].split(' ')))

/** The figures as rows of the table. */
export async function measure ({ quick }) {
  const workers = await startWorkers(import.meta.filename, WORKERS)
  const rounds = WORKERS.map(() => [])
  for (let round = 0; round < (quick ? 100 : 600); round++) {
    for (const [index, worker] of WORKERS.entries()) rounds[index].push(await workers.ask(worker))
  }
  workers.end()

  const [plain, hook, shared, tenant, tenants] = rounds.map(median)
  return [
    { figure: 'plain Fastify', value: plain, unit: 'µs' },
    { figure: 'plain Fastify with a hand-written tenant hook', value: hook - plain, unit: 'µs more' },
    { figure: "the app's route for a tenant", value: shared - plain, unit: 'µs more' },
    { figure: "a tenant's own route", value: tenant - plain, unit: 'µs more', target: 1.4 },
    { figure: "a tenant's own route, 100 tenants in turn", value: tenants - plain, unit: 'µs more' }
  ]
}

async function prepare (name, count) {
  const { app, headers } = await start(name, Number(count))
  for (const each of headers) assert.equal(request(app, '/hello', each).body, '{"hello":"world"}')

  return () => {
    const started = process.hrtime.bigint()
    for (let index = 0; index < REQUESTS; index++) request(app, '/hello', headers[index % headers.length])
    return Number(process.hrtime.bigint() - started) / 1000 / REQUESTS
  }
}
