import { mock } from 'node:test'
import fp from 'fastify-plugin'
import t from 'tap'
import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import { appOf, send } from '../fixtures/templates/app.ts'
import { call, Door, fakeTime, listen, LogLines, MemorySource, refusal, turn, until } from '../fixtures/lifecycle/app.ts'
import type { Teardown } from '../fixtures/lifecycle/app.ts'
import type { InlineTenant, MultitenantOptions } from '../../index.ts'

const routes = (door?: Door): FastifyPluginAsync => fp(async (app: FastifyInstance) => {
  app.decorate('name', 'the app')
  app.get('/', async ({ tenant }) => ({ id: tenant?.id, config: tenant?.config }))
  app.get('/slow', async ({ tenantId }) => {
    await door?.pass()
    return tenantId
  })
  app.get('/throws', async () => { throw new Error('boom') })
  app.get('/required', { config: { tenant: 'required' } }, async ({ tenantId }) => ({ tenantId }))
  app.get('/ignored', { config: { tenant: 'ignore' } }, async ({ tenant, tenantId }) => ({ tenant, tenantId }))
})

const TENANTS: Record<string, InlineTenant> = { acme: { config: { plan: 'gold' } }, globex: { name: 'Globex', config: { plan: 'silver' } } }

/** An app with routes, and with tenants that have a config only. */
function appFor (t: Teardown, options: MultitenantOptions = {}, door?: Door, log?: LogLines): FastifyInstance {
  const app = appOf(t, {}, TENANTS, options, log?.server)
  app.register(routes(door))
  return app
}

t.test('the app answers, and request.tenant is set', async t => {
  const app = appFor(t)
  t.same((await send(app, 'acme')).json(), { id: 'acme', config: { plan: 'gold' } })
  t.same((await send(app, 'globex')).json(), { id: 'globex', config: { plan: 'silver' } })
  t.equal((await send(app, 'globex', '/missing')).statusCode, 404)
  t.same(refusal(await send(app, 'nobody')), [404, 'FST_TENANT_NOT_FOUND'])
  t.same((await app.inject('/')).json(), {})
  t.match(await app.multitenant.stats(), { active: 2, resident: 2, templates: [], tenants: [{ id: 'acme', template: null, state: 'active', requests: 1 }, { id: 'globex' }] })
})

t.test("tenant.app is the app's instance, with an inject() of the tenant", async t => {
  const log = new LogLines()
  const app = appFor(t, {}, undefined, log)
  await app.ready()
  const tenant = await app.multitenant.init('acme')
  t.equal(tenant.app, tenant.app, 'made once')
  t.equal(Reflect.get(tenant.app, 'name'), 'the app')
  t.equal(tenant.template, null)
  t.same(tenant.listServices(), [])
  t.throws(() => tenant.getService('mail'), { code: 'FST_TENANT_SERVICE_NOT_FOUND' })
  t.same((await tenant.app.inject('/')).json(), { id: 'acme', config: { plan: 'gold' } })
  t.same((await tenant.app.inject({ url: '/', headers: { 'x-tenant-id': 'globex' } })).json().id, 'acme', 'whatever the request says')
  t.same((await tenant.app.inject('/ignored')).json(), { tenant: null, tenantId: null })
  t.same((await tenant.app.inject('/required')).json(), { tenantId: 'acme' })
  tenant.app.log.info('a line of the tenant')
  t.match(log.of('a line of the tenant'), [{ tenantId: 'acme' }])
  app.log.info('a line of the app')
  t.notOk('tenantId' in (log.of('a line of the app')[0] ?? {}))
  await t.rejects(tenant.app.listen({ port: 0 }), /listen/)
})

t.test('tenant.app.inject() holds a lease', async t => {
  const door = new Door()
  const app = appFor(t, {}, door)
  await app.ready()
  const { app: own } = await app.multitenant.init('acme')
  const slow = own.inject('/slow')
  await door.reached
  const unloaded = app.multitenant.unload('acme')
  t.match(await app.multitenant.stats(), { draining: 1 })
  door.open()
  t.equal((await slow).body, 'acme')
  t.match(await unloaded, { drained: true })
})

t.test('tenant.app.close() unloads the tenant and leaves the app open', async t => {
  const app = appFor(t)
  const url = await listen(app)
  const tenant = await app.multitenant.init('acme')
  await app.multitenant.init('globex')
  await tenant.app.close()
  t.equal(app.multitenant.get('acme'), null)
  t.not(app.multitenant.get('globex'), null)
  t.equal(tenant.state, 'closed')
  await t.rejects(tenant.app.inject('/'), { code: 'FST_TENANT_CLOSED' })
  const error = await new Promise(resolve => { tenant.app.inject('/', resolve as never) })
  t.match(error, { code: 'FST_TENANT_CLOSED' })
  t.equal((await call(url, 'acme')).status, 200, 'the app listens, and the tenant is loaded again')
  await new Promise<void>(resolve => { app.multitenant.get('acme')?.app.close(resolve) })
  t.equal(app.multitenant.get('acme'), null)
})

t.test('closing the app of an old generation leaves the new one in service', async t => {
  const app = appFor(t)
  await app.ready()
  const old = await app.multitenant.init('acme')
  await app.multitenant.reload('acme')
  await old.app.close()
  t.equal(app.multitenant.get('acme')?.generation, 2)
})

t.test('runs jobs', async t => {
  const app = appFor(t)
  await app.ready()
  t.equal(await app.multitenant.run('acme', async tenant => (await tenant.app.inject('/')).json().id), 'acme')
  await t.rejects(app.multitenant.run('acme', () => { throw new Error('the job failed') }), /the job failed/)
  t.match(await app.multitenant.stats(), { tenants: [{ id: 'acme', inFlight: 0 }] })
})

t.test('is suspended and resumed', async t => {
  const app = appFor(t)
  await app.ready()
  const { app: own } = await app.multitenant.init('acme')
  await app.multitenant.suspend('acme')
  t.same(refusal(await send(app, 'acme')), [403, 'FST_TENANT_SUSPENDED'])
  await t.rejects(own.inject('/'), { code: 'FST_TENANT_SUSPENDED' })
  t.equal((await send(app, 'globex')).statusCode, 200)
  app.multitenant.resume('acme')
  t.equal((await send(app, 'acme')).statusCode, 200)
})

t.test('a reload reads the config again, and running requests keep the old one', async t => {
  const source = new MemorySource({ acme: { config: { plan: 'old' } } })
  const door = new Door()
  const app = appOf(t, {}, source)
  app.get('/', async ({ tenant }) => tenant?.config)
  app.get('/slow', async ({ tenant }) => {
    await door.pass()
    return tenant?.config
  })
  await app.ready()
  const slow = send(app, 'acme', '/slow')
  await door.reached
  source.tenants.set('acme', { config: { plan: 'new' } })
  const { generation, drain } = await app.multitenant.reload('acme')
  t.equal(generation, 2)
  t.same((await send(app, 'acme')).json(), { plan: 'new' })
  door.open()
  t.same((await slow).json(), { plan: 'old' })
  t.match(await drain, { generation: 1, drained: true })
  source.tenants.set('acme', { config: (() => { throw new Error('no config') }) as never })
  await t.rejects(app.multitenant.reload('acme'), { code: 'FST_TENANT_LOAD_FAILED' })
  t.same((await send(app, 'acme')).json(), { plan: 'new' }, 'the old generation keeps serving')
})

t.test('is limited by maxInFlight', async t => {
  const door = new Door()
  const app = appFor(t, { maxInFlight: 1 }, door)
  await app.ready()
  const slow = send(app, 'acme', '/slow')
  await door.reached
  t.same(refusal(await send(app, 'acme')), [503, 'FST_TENANT_BUSY'])
  t.equal((await send(app, 'globex')).statusCode, 200)
  door.open()
  t.equal((await slow).statusCode, 200)
})

t.test("errors are counted and logged with the tenant's id", async t => {
  const log = new LogLines()
  const app = appFor(t, {}, undefined, log)
  t.equal((await send(app, 'acme', '/throws')).statusCode, 500)
  t.match(log.of('boom'), [{ tenantId: 'acme' }])
  await until(async () => (await app.multitenant.stats()).tenants[0]?.inFlight === 0)
  t.match(await app.multitenant.stats(), { tenants: [{ id: 'acme', errors: 1 }] })
})

t.test('a request that does not end is ended by force', async t => {
  fakeTime(t)
  const app = appFor(t, { drainTimeout: 1_000 }, new Door())
  await app.ready()
  const slow = send(app, 'acme', '/slow').then(({ statusCode }) => statusCode, error => error)
  await until(async () => (await app.multitenant.stats()).tenants[0]?.inFlight === 1)
  const unloaded = app.multitenant.unload('acme')
  await turn()
  mock.timers.tick(1_000)
  t.match(await unloaded, { drained: false, forced: [{ url: '/slow' }] })
  t.type(await slow, Error)
})

t.test('obeys the rules of routes, the path strategy and defaultTenant', async t => {
  const required = appFor(t, { required: false })
  t.same(refusal(await required.inject('/required')), [400, 'FST_TENANT_REQUIRED'])
  t.same((await send(required, 'acme', '/required')).json(), { tenantId: 'acme' })
  t.same((await send(required, 'acme', '/ignored')).json(), { tenant: null, tenantId: null })

  const path = appFor(t, { identify: 'path' })
  t.equal((await path.inject('/acme/')).json().id, 'acme')
  t.equal((await path.inject('/globex/required')).json().tenantId, 'globex')
  const own = (await path.multitenant.init('globex')).app
  t.equal((await own.inject('/')).json().id, 'globex')

  const byDefault = appFor(t, { defaultTenant: 'globex' })
  t.equal((await byDefault.inject('/')).json().id, 'globex')
  t.equal((await send(byDefault, 'acme')).json().id, 'acme')
})

t.test('an inactive tenant is unknown', async t => {
  const app = appOf(t, {}, { acme: { config: { active: false } } })
  t.same(refusal(await send(app, 'acme')), [404, 'FST_TENANT_NOT_FOUND'])
})

t.test('a tenant without anything is served', async t => {
  const app = appOf(t, {}, { acme: {} })
  app.get('/', async ({ tenantId }) => tenantId)
  t.equal((await send(app, 'acme')).body, 'acme')
  t.match(await app.multitenant.stats(), { resident: 1 })
})
