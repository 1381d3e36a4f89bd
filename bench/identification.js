/*
 * What does it cost to find out which tenant a request belongs to?
 *
 * One GET request inside the process, as in request.js, that the app's own route answers for a tenant that is loaded. Each strategy
 * has a process of its own. What counts is how much longer it takes than with a function that names the tenant without looking at
 * the request, in microseconds: reading, checking and, for the path, taking the tenant's segment off. The jwt is signed with
 * HS256 and verified anew for each request. The rounds are interleaved; the median of them counts.
 */
import { strict as assert } from 'node:assert'
import cookie from '@fastify/cookie'
import jwt from '@fastify/jwt'
import Fastify from 'fastify'
import multitenant, { agree } from 'fastify-multitenant'
import { request } from './support/fake-http.js'
import { median } from './support/median.js'
import { serve, startWorkers } from './support/workers.js'

const REQUESTS = 2000

/** The `identify` option, and a request of acme for it. */
const strategies = {
  'a function that looks at nothing': { identify: () => 'acme' },
  header: { identify: 'header' },
  query: { identify: 'query', url: '/hello?tenant=acme' },
  path: { identify: 'path', url: '/acme/hello' },
  subdomain: { identify: 'subdomain', baseDomain: 'example.com' },
  host: { identify: 'host' },
  'signed cookie': { identify: 'cookie', header: app => ({ cookie: `tenant=${encodeURIComponent(app.signCookie('acme'))}` }) },
  jwt: { identify: 'jwt', header: app => ({ authorization: `Bearer ${app.jwt.sign({ tenant: 'acme' })}` }) },
  'query, else header': { identify: ['query', 'header'] },
  'subdomain and header agree': { identify: agree(['subdomain', 'header']), baseDomain: 'example.com' }
}

const [first, ...others] = Object.keys(strategies)

if (process.send !== undefined) serve(await prepare(strategies[process.argv[2]]))

/** The figures as rows of the table. */
export async function measure ({ quick }) {
  const names = Object.keys(strategies)
  const workers = await startWorkers(import.meta.filename, names)
  const rounds = new Map(names.map(name => [name, []]))
  for (let round = 0; round < (quick ? 40 : 150); round++) {
    for (const name of names) rounds.get(name).push(await workers.ask(name))
  }
  workers.end()

  const base = median(rounds.get(first))
  return [
    { figure: `the app's route for a tenant, named by ${first}`, value: base, unit: 'µs' },
    ...others.map(name => ({ figure: `named by: ${name}`, value: median(rounds.get(name)) - base, unit: 'µs more' }))
  ]
}

async function prepare ({ url = '/hello', header = () => ({}), ...options }) {
  const app = Fastify()
  app.register(cookie, { secret: 'secret', hook: false })
  app.register(jwt, { secret: 'secret' })
  app.register(multitenant, { tenants: { acme: { hosts: ['acme.example.com'] } }, ...options })
  app.get('/hello', (request, reply) => { reply.send({ hello: request.tenantId }) })
  await app.ready()
  await app.multitenant.init('acme')

  const headers = { host: 'acme.example.com', 'x-tenant-id': 'acme', ...header(app) }
  const rawHeaders = Object.entries(headers).flat()
  const send = async () => {
    const response = request(app, url, headers, rawHeaders)
    if (!response.writableEnded) await new Promise(resolve => { response.once('close', resolve) })
    return response
  }
  assert.equal((await send()).body, '{"hello":"acme"}')

  return async () => {
    const started = process.hrtime.bigint()
    for (let index = 0; index < REQUESTS; index++) await send()
    return Number(process.hrtime.bigint() - started) / 1000 / REQUESTS
  }
}
