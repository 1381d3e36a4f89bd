import { createServer } from 'node:http'
import { fileURLToPath } from 'node:url'
import identification, { headerIdentifierStrategy } from '@giogaspa/fastify-multitenant'
import Fastify from 'fastify'
import multitenant from 'fastify-multitenant'
import hello, { handler } from './hello/routes/hello.js'
import { plainApp } from './plain-folder.js'
import { TenantThread } from './tenant-thread.js'

const HELLO = fileURLToPath(new URL('hello', import.meta.url))
const KNOWN = 10_000

/** The same route, reached in different ways: each app answers `GET /hello` for all tenants with these ids. */
const apps = {
  /** Nothing but the route. */
  plain: async () => Fastify().get('/hello', handler),

  /** What people write without this package: a hook looks the tenant up in a Map. */
  hook: async ids => {
    const tenants = new Map(ids.map(id => [id, { id }]))
    const app = Fastify()
    app.decorateRequest('tenant', null)
    app.addHook('onRequest', (request, reply, done) => {
      request.tenant = tenants.get(request.headers['x-tenant-id'])
      done(request.tenant === undefined ? new Error('Unknown tenant') : undefined)
    })
    return app.get('/hello', handler)
  },

  /** The app's own route, which answers for any tenant. */
  shared: async ids => withTenants(ids, { plugin: async () => {} }).get('/hello', handler),

  /** The same for tenants that have a config and no code of their own. */
  config: async ids => withTenants(ids, { config: { plan: 'free' } }).get('/hello', handler),

  /** Tenants without code of their own again, whose template has the route. */
  template: async ids => withTenants(ids, { template: 'standard' }, ids.length, { templates: { standard: { plugin: hello } } }),

  /** Each tenant has the route in its own scope. */
  tenant: async ids => withTenants(ids, { plugin: hello }),

  /** The same, and thousands more that are not loaded. */
  known: async ids => withTenants(idsOf(KNOWN), { plugin: hello }, ids.length),

  /** The same through the plugin's hook, as where Fastify is given a server of one's own. */
  hooked: async ids => withTenants(ids, { plugin: hello }, ids.length, {}, { serverFactory: handler => createServer(handler) }),

  /** A plugin with a prefix for each, in one plain app. */
  prefixes: async ids => {
    const app = Fastify()
    for (const id of ids) app.register(hello, { prefix: id })
    return app
  },

  /** A route for each host, of which Fastify allows 31. */
  constraints: async ids => {
    const app = Fastify()
    for (const id of ids) app.get('/hello', { constraints: { host: hostOf(id) } }, handler)
    return app
  },

  /** Another package: it names the tenant and keeps what belongs to it, and has no routes of a tenant. */
  giogaspa: async ids => {
    const tenants = new Map(ids.map(id => [id, { id }]))
    const app = Fastify()
    await app.register(identification, {
      tenantIdentifierStrategies: [headerIdentifierStrategy('X-TENANT-ID')],
      tenantConfigResolver: async id => tenants.get(id),
      resources: {}
    })
    return app.get('/hello', handler)
  },

  /** An app for each, reached by `inject()` from one that listens. */
  inject: ids => proxy(ids, () => plainApp(HELLO)),

  /** A worker thread for each, reached by messages from an app that listens. */
  threads: ids => proxy(ids, () => new TenantThread(HELLO).ready())
}

/** What the apps are called in the tables. */
export const figures = {
  plain: 'plain Fastify',
  hook: 'plain Fastify with a hand-written tenant hook',
  shared: "the app's route for a tenant",
  config: "the app's route for tenants with only a config",
  template: "a template's route",
  tenant: "a tenant's own route",
  known: "a tenant's own route, 10,000 known",
  hooked: "a tenant's own route, through the hook",
  prefixes: 'plain plugins with prefixes',
  constraints: 'plain routes with a host constraint',
  giogaspa: '@giogaspa/fastify-multitenant',
  inject: 'an app for each tenant, by inject()',
  threads: 'a worker thread for each tenant'
}

/** An app of `apps`, ready and with `count` tenants loaded, and a request to each of them. */
export async function start (name, count) {
  const ids = idsOf(count)
  const app = await apps[name](ids)
  await app.ready()
  if (app.hasPlugin('fastify-multitenant')) for (const id of ids) await app.multitenant.init(id)
  const urlOf = id => name === 'prefixes' ? `/${id}/hello` : '/hello'
  return { app, requests: ids.map(id => ({ url: urlOf(id), headers: { host: hostOf(id), 'x-tenant-id': id } })) }
}

function withTenants (ids, tenant, places = ids.length, options = {}, server = {}) {
  const app = Fastify(server)
  const tenants = Object.fromEntries(ids.map(id => [id, tenant]))
  app.register(multitenant, { tenants, maxActive: places, maxResident: places, ...options })
  return app
}

async function proxy (ids, makeTenant) {
  const tenants = new Map()
  for (const id of ids) tenants.set(id, await makeTenant())
  const app = Fastify()
  app.all('/*', async ({ method, url, headers, body }, reply) => {
    const response = await tenants.get(headers['x-tenant-id']).inject({ method, url, headers, payload: body })
    return reply.code(response.statusCode).headers(response.headers).send(response.payload)
  })
  return app
}

function hostOf (id) {
  return `${id}.example.com`
}

function idsOf (count) {
  return Array.from({ length: count }, (_, index) => `tenant-${index}`)
}
