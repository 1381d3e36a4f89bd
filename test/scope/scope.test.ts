import { channel, subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { connect } from 'node:net'
import Fastify from 'fastify'
import t from 'tap'
import type { FastifyInstance, FastifyReply } from 'fastify'
import type { Test } from 'tap'
import multitenant, { FST_TENANT_FASTIFY_UNSUPPORTED } from '../../index.ts'
import { latch } from '../fixtures/lifecycle/app.ts'
import type { MultitenantOptions, TenantDefinition } from '../../index.ts'

type Plugin = NonNullable<TenantDefinition['plugin']>

function appWith (t: Test, plugin: Plugin, options: MultitenantOptions = {}, app: FastifyInstance = Fastify()): FastifyInstance {
  t.teardown(() => app.close())
  return app.register(multitenant, { ...options, tenants: { acme: { plugin } } }) as unknown as FastifyInstance
}

const acme = { 'x-tenant-id': 'acme' }

t.test('a tenant has the addresses of the app, and cannot listen itself', async t => {
  const app = appWith(t, async () => {})
  const address = await app.listen({ port: 0, host: '127.0.0.1' })
  const tenant = await app.multitenant.init('acme')
  t.same(tenant.app.addresses(), app.addresses())
  t.equal(tenant.app.listeningOrigin, address)
  t.equal(tenant.app.server.listening, true)
  await t.rejects(async () => tenant.app.listen({ port: 0, host: '127.0.0.1' }), { message: 'A tenant has no server of its own: call listen() on the app' })
  t.equal(tenant.app.server.setTimeout(1), tenant.app.server)
  await new Promise<void>(resolve => { tenant.app.server.close(() => resolve()) })
  tenant.app.server.closeIdleConnections()
  tenant.app.server.closeAllConnections()
  t.equal(tenant.app.server.close(), tenant.app.server)
  t.equal((await fetch(address, { headers: acme })).status, 404, 'the app goes on')
})

t.test('onListen hooks of a tenant run when the app listens, or after the load if it listens already', async t => {
  for (const when of ['before', 'after']) {
    const ran: string[] = []
    const app = appWith(t, async scope => {
      scope.addHook('onListen', async () => { ran.push('a hook') })
      scope.addHook('onListen', done => { ran.push('with a callback'); done() })
      scope.addHook('onListen', async () => { throw new Error('that is logged') })
      scope.register(async child => { child.addHook('onListen', async () => { ran.push('a child') }) })
    })
    await app.ready()
    if (when === 'before') await app.multitenant.init('acme')
    t.same(ran, [])
    await app.listen({ port: 0, host: '127.0.0.1' })
    if (when === 'after') await app.multitenant.init('acme')
    t.equal((await app.inject({ url: '/', headers: acme })).statusCode, 404)
    t.same(ran, ['a hook', 'with a callback', 'a child'], `${when} the app listens`)
  }
})

t.test('preClose hooks of a tenant run once, before its onClose hooks, also if they fail', async t => {
  const ran: string[] = []
  const app = appWith(t, async scope => {
    scope.addHook('preClose', async () => { ran.push('preClose') })
    scope.addHook('preClose', done => { ran.push('with a callback'); done(new Error('that is logged')) })
    scope.addHook('onClose', async () => { ran.push('onClose') })
  })
  await app.ready()
  await app.multitenant.init('acme')
  await app.close()
  t.same(ran, ['preClose', 'with a callback', 'onClose'])
})

t.test('subscribers of fastify.initialization do not see tenants, which inherit their hooks from the app', async t => {
  let ran = 0
  const instrument = (message: unknown): void => {
    (message as { fastify: FastifyInstance }).fastify.addHook('onRequest', async () => { ran++ })
  }
  subscribe('fastify.initialization', instrument)
  t.teardown(() => unsubscribe('fastify.initialization', instrument))
  const app = appWith(t, async scope => { scope.get('/own', async () => 'own') })
  t.equal((await app.inject({ url: '/own', headers: acme })).body, 'own')
  t.equal(ran, 1)
  t.equal(channel('fastify.initialization').hasSubscribers, true, 'and hears of the next one')
})

t.test('a route that throws on entry fails only its own request', async t => {
  const app = appWith(t, async scope => {
    scope.setChildLoggerFactory(() => ({}) as never)
    scope.get('/own', async () => 'own')
  })
  app.get('/app', async () => 'the app')
  t.equal((await app.inject({ url: '/own', headers: acme })).statusCode, 500)
  t.equal((await app.inject({ url: '/app', headers: acme })).body, 'the app')
})

t.test('tenants inherit routerOptions.buildPrettyMeta', async t => {
  const app = appWith(t, async scope => { scope.get('/own', async () => 'own') }, {}, Fastify({ routerOptions: { buildPrettyMeta: () => ({ mark: 1 }) } as object }))
  await app.ready()
  const tenant = await app.multitenant.init('acme')
  t.match(tenant.app.printRoutes({ includeMeta: true }), /mark/)
})

t.test('a parameter that is too long is refused as in the app, with the path strategy too', async t => {
  const app = appWith(t, async scope => { scope.get('/own/:name', async () => 'own') }, { identify: ['header', 'path'] })
  app.get('/shared/:name', async () => 'shared')
  const long = 'x'.repeat(101)
  t.equal((await app.inject({ url: `/own/${long}`, headers: acme })).statusCode, 414)
  t.equal((await app.inject(`/acme/own/${long}`)).statusCode, 414)
  t.equal((await app.inject(`/acme/shared/${long}`)).statusCode, 414)
})

t.test('the path strategy with asynchronous constraints', async t => {
  const strategy = {
    name: 'plan',
    storage: () => {
      const handlers = new Map()
      return { get: (key: unknown) => handlers.get(key) ?? null, set: (key: unknown, handler: unknown) => { handlers.set(key, handler) } }
    },
    validate: () => {},
    deriveConstraint: (request: { headers: Record<string, unknown> }, _context: unknown, done: (error: null, plan: unknown) => void) => {
      setImmediate(done, null, request.headers['x-plan'])
    }
  }
  const app = appWith(t, async scope => {
    scope.get('/own', { constraints: { plan: 'gold' } }, async () => 'gold')
  }, { identify: 'path' }, Fastify({ routerOptions: { constraints: { plan: strategy as never } } }))
  app.get('/shared', async request => `shared ${request.tenantId}`)
  t.equal((await app.inject({ url: '/acme/own', headers: { 'x-plan': 'gold' } })).body, 'gold')
  t.equal((await app.inject('/acme/own')).statusCode, 404)
  t.equal((await app.inject('/acme/shared')).body, 'shared acme')
})

t.test('a Fastify whose router cannot be reached is refused at boot', async t => {
  const app = Fastify()
  app.printRoutes = () => ''
  app.register(multitenant, { tenants: {} })
  const error = await app.ready().then(() => null, error => error)
  t.ok(error instanceof FST_TENANT_FASTIFY_UNSUPPORTED)
  t.match(error, { message: new RegExp(`router.*${app.version}`) })
})

t.test("the path strategy below a prefix reaches the app's routes there that are outside the plugin's context", async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  app.register(async child => {
    child.register(multitenant, { identify: 'path', tenants: { acme: {} } })
  }, { prefix: '/api' })
  app.decorateRequest('mark', 'of the app')
  app.get('/api/outside', async request => `${request.getDecorator('mark')}, ${request.tenantId}`)
  t.equal((await app.inject('/api/acme/outside')).body, 'of the app, acme')
})

t.test('a bad URL is logged even without identification', async t => {
  const lines: string[] = []
  const app = appWith(t, async () => {}, {}, Fastify({
    logger: { stream: { write: (line: string) => { lines.push(JSON.parse(line).msg) } } },
    frameworkErrors: (error, _request, reply) => { (reply as FastifyReply).code(400).send(error.message) }
  }) as unknown as FastifyInstance)
  // Older versions of Fastify decode a URL only if the app has a route for the method.
  app.get('/of/the/app', async () => 'app')
  t.equal((await app.inject({ url: '/%world', headers: acme })).statusCode, 400)
  t.same(lines, ['incoming request'])
})

t.test("a tenant stays loaded until the app's own onResponse hooks have run", async t => {
  for (const order of ['first', 'registered'] as const) {
    const app = Fastify()
    t.teardown(() => app.close())
    const responding = latch()
    const goOn = latch()
    const states: Array<string | undefined> = []
    app.addHook('onResponse', async request => {
      responding.resolve()
      await goOn.promise
      states.push(request.tenant?.state)
    })
    app.register(multitenant, { order, tenants: { acme: {} } })
    app.get('/shared', async () => 'shared')
    await app.inject({ url: '/shared', headers: acme })
    await responding.promise
    const unloaded = app.multitenant.unload('acme')
    goOn.resolve()
    await unloaded
    t.same(states, ['draining'], order)
  }
})

t.test("a tenant's upgraded socket is destroyed when the tenant is closed by force", async t => {
  const upgraded = latch()
  const app = appWith(t, async scope => {
    scope.server.on('upgrade', (_raw, socket) => {
      socket.on('error', () => {})
      upgraded.resolve()
    })
    scope.get('/socket', async () => 'no upgrade')
  }, { drainTimeout: 1 })
  const { port } = new URL(await app.listen({ port: 0, host: '127.0.0.1' }))
  await app.multitenant.init('acme')
  const client = connect({ port: Number(port), host: '127.0.0.1' })
  const closed = once(client, 'close')
  client.write('GET /socket HTTP/1.1\r\nhost: a\r\nx-tenant-id: acme\r\nconnection: upgrade\r\nupgrade: own\r\n\r\n')
  await upgraded.promise
  t.match(await app.multitenant.unload('acme'), { drained: false, forced: [{ method: 'GET', url: '/socket' }] })
  await closed
})

t.test('the path strategy applies config.tenant of the route that it leads to', async t => {
  const app = appWith(t, async () => {}, { identify: 'path' })
  app.get('/health', { config: { tenant: 'ignore' } }, async request => String(request.tenantId))
  t.equal((await app.inject('/acme/health')).body, 'null')
})

t.test('an onListen hook that throws synchronously is logged, and the next ones run', async t => {
  const ran: string[] = []
  const app = appWith(t, async scope => {
    scope.addHook('onListen', () => { throw new Error('at once') })
    scope.addHook('onListen', done => { ran.push('next'); done() })
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  await app.multitenant.init('acme')
  t.same(ran, ['next'])
})

t.test('a preClose hook that never ends does not keep the tenant from its onClose hooks', async t => {
  const ran: string[] = []
  const app = appWith(t, async scope => {
    scope.addHook('preClose', () => new Promise<void>(() => {}))
    scope.addHook('onClose', async () => { ran.push('onClose') })
  }, { drainTimeout: 1 })
  await app.ready()
  await app.multitenant.init('acme')
  t.same(await app.multitenant.unload('acme'), { generation: 1, drained: true, forced: [] })
  t.same(ran, ['onClose'])
})

t.test('request.server, reply.server and this are the instance that a route was made in, however deep', async t => {
  const plugin: Plugin = async tenant => {
    tenant.register(async nested => {
      nested.decorate('own', 'nested')
      nested.addHook('onRequest', async function (request, reply) {
        t.equal(this, nested)
        t.equal(request.server, nested)
        t.equal(reply.server, nested)
      })
      nested.get('/nested', async function (request, reply) {
        t.equal(this, nested)
        return { is: request.server === nested && reply.server === nested, tenant: request.tenantId, options: request.routeOptions.url }
      })
    })
    tenant.register(async decorated => {
      decorated.decorateReply('shout', function (this: FastifyReply) { return this.server === decorated })
      decorated.get('/decorated', async (request, reply) => ({ is: (reply as FastifyReply & { shout: () => boolean }).shout(), tenant: request.tenantId, options: request.routeOptions.url }))
    })
    tenant.register(async logging => {
      logging.setChildLoggerFactory(function (logger) {
        t.equal(this, logging)
        return logger
      })
      logging.get('/logging', async (request, reply) => ({ is: request.server === logging && reply.server === logging, tenant: request.tenantId, options: request.routeOptions.url }))
    })
  }
  const app = appWith(t, plugin)
  const address = await app.listen({ port: 0, host: '127.0.0.1' })
  await app.multitenant.init('acme')
  for (const url of ['/nested', '/decorated', '/logging']) {
    const expected = { is: true, tenant: 'acme', options: url }
    t.same((await app.inject({ url, headers: acme })).json(), expected, `${url} by the hook`)
    t.same(await (await fetch(address + url, { headers: acme })).json(), expected, `${url} by the short cut`)
  }
})

t.test('tenants that add the same decorators see their own, also after many others', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  const decorating = (id: string, name: string): { plugin: Plugin } => ({
    plugin: async scope => {
      scope.decorateRequest(name, `value of ${id}`)
      scope.decorateRequest('call', () => `call of ${id}`)
      scope.decorateReply(name, { getter: () => `getter of ${id}` })
      scope.get('/own', async (request, reply) => [request.tenantId, request.getDecorator(name), request.getDecorator<() => string>('call')(), reply.getDecorator(name)])
    }
  })
  const others = Array.from({ length: 101 }, (_, index) => `other${index}`)
  const tenants = Object.fromEntries([
    ...['acme', 'globex'].map(id => [id, decorating(id, 'name')] as const), ...others.map(id => [id, decorating(id, id)] as const)
  ])
  await app.register(multitenant, { tenants, maxActive: 200 })
  for (const id of ['acme', 'globex', ...others, 'acme', 'globex']) {
    const response = await app.inject({ url: '/own', headers: { 'x-tenant-id': id } })
    t.same(response.json(), [id, `value of ${id}`, `call of ${id}`, `getter of ${id}`])
  }
  await app.multitenant.reload('acme')
  t.match((await app.inject({ url: '/own', headers: acme })).json(), ['acme', 'value of acme'])
})
