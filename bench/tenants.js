/*
 * What does a loaded tenant cost?
 *
 * KB of heap (after a forced garbage collection) and ms of boot per tenant, when 1,000 tenants of three routes each are loaded
 * one after the other. Once with tenants given in code and once with tenants read from folders, each of which has a config and
 * a module of routes. For comparison the same three routes in 1,000 prefixed plugins of one plain Fastify app, which is what
 * the routes cost without any tenants. Each in a process of its own.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import Fastify from 'fastify'
import multitenant from 'fastify-multitenant'
import { serve, startWorkers } from './support/workers.js'

const ROUTES = `export default async function routes (app) {
  app.get('/users', async () => [])
  app.get('/users/:id', async request => ({ id: request.params.id }))
  app.post('/users', async request => request.body)
}
`
const loads = { plain: loadPlain, code: loadFromCode, folders: loadFromFolders }

if (process.send !== undefined) serve(loads[process.argv[2]])

/** The figures as rows of the table. */
export async function measure ({ quick }) {
  const count = quick ? 200 : 1000
  const workers = await startWorkers(import.meta.filename, Object.keys(loads), ['--expose-gc'])
  const plain = await workers.ask('plain', count)
  const code = await workers.ask('code', count)
  const folders = await workers.ask('folders', count)
  workers.end()

  return [
    { figure: 'three routes in a plain plugin', value: plain.kilobytes, unit: 'KB' },
    { figure: 'three routes in a plain plugin', value: plain.milliseconds, unit: 'ms' },
    { figure: 'a tenant given in code', value: code.kilobytes, unit: 'KB', target: 61 },
    { figure: 'a tenant given in code', value: code.milliseconds, unit: 'ms', target: 2 },
    { figure: 'a tenant from a folder', value: folders.kilobytes, unit: 'KB' },
    { figure: 'a tenant from a folder', value: folders.milliseconds, unit: 'ms' }
  ]
}

async function loadPlain (count) {
  const routes = await importRoutes()
  const app = Fastify()
  return perTenant(count, async () => {
    for (const id of ids(count)) app.register(routes, { prefix: id })
    await app.ready()
  })
}

async function loadFromCode (count) {
  const plugin = await importRoutes()
  return loadTenants(Object.fromEntries(ids(count).map(id => [id, { plugin }])), count)
}

async function loadFromFolders (count) {
  const tenants = await mkdtemp(join(tmpdir(), 'multitenant-bench-'))
  for (const id of ids(count)) {
    await mkdir(join(tenants, id, 'routes'), { recursive: true })
    await writeFile(join(tenants, id, 'config.json'), '{ "plan": "free" }')
    await writeFile(join(tenants, id, 'routes', 'users.mjs'), ROUTES)
  }
  try {
    return await loadTenants(tenants, count)
  } finally {
    await rm(tenants, { recursive: true })
  }
}

async function loadTenants (tenants, count) {
  const app = Fastify()
  app.register(multitenant, { tenants, maxActive: count })
  await app.ready()
  return perTenant(count, async () => {
    for (const id of ids(count)) await app.multitenant.init(id)
  })
}

async function perTenant (count, load) {
  const heapBefore = await heap()
  const started = performance.now()
  await load()
  const milliseconds = (performance.now() - started) / count
  return { milliseconds, kilobytes: (await heap() - heapBefore) / 1024 / count }
}

/** Bytes in use when nothing is left to collect. */
async function heap () {
  for (let time = 0; time < 3; time++) {
    globalThis.gc()
    await setImmediate()
  }
  return process.memoryUsage().heapUsed
}

function ids (count) {
  return Array.from({ length: count }, (_, index) => `tenant-${index}`)
}

async function importRoutes () {
  const { default: routes } = await import(`data:text/javascript,${encodeURIComponent(ROUTES)}`)
  return routes
}
