import Fastify from 'fastify'
import multitenant from 'fastify-multitenant'

const handler = (request, reply) => { reply.send({ hello: 'world' }) }

/** The same route, reached in different ways: each app answers `GET /hello` for all tenants with these ids. */
export const apps = {
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
  shared: async ids => withTenants(ids, async () => {}).get('/hello', handler),

  /** Each tenant has the route in its own scope. */
  tenant: async ids => withTenants(ids, async scope => { scope.get('/hello', handler) })
}

/** An app of `apps`, ready and with `count` tenants loaded, and the headers that name each of them. */
export async function start (name, count) {
  const ids = Array.from({ length: count }, (_, index) => `tenant-${index}`)
  const app = await apps[name](ids)
  await app.ready()
  if (app.hasDecorator('multitenant')) await Promise.all(ids.map(id => app.multitenant.init(id)))
  return { app, headers: ids.map(id => ({ host: 'localhost', 'x-tenant-id': id })) }
}

function withTenants (ids, plugin) {
  const app = Fastify()
  const tenants = Object.fromEntries(ids.map(id => [id, { plugin }]))
  app.register(multitenant, { tenants, maxActive: ids.length })
  return app
}
