import lightMyRequest from 'light-my-request'
import t from 'tap'
import { appOf, send } from '../fixtures/templates/app.ts'
import { Door, listen, LogLines, until } from '../fixtures/lifecycle/app.ts'
import type { FastifyInstance } from 'fastify'
import type { DispatchFunc } from 'light-my-request'

t.test('a request that the code of a template routes itself, without a tenant, has no tenant', async t => {
  let shop: FastifyInstance | undefined
  const log = new LogLines()
  const app = appOf(t, {
    shop: {
      plugin: async scope => {
        shop = scope
        scope.get('/whose', async ({ tenant, tenantId }) => ({ tenant, tenantId }))
      }
    }
  }, { acme: { template: 'shop' } }, {}, log.server)
  t.match((await send(app, 'acme', '/whose')).json(), { tenantId: 'acme' })
  const response = await lightMyRequest(shop?.routing as unknown as DispatchFunc, { url: '/whose' })
  t.same(response.json(), { tenant: null, tenantId: null })
})

t.test('stats() shows a template that loads, and one that has failed before the app listens', async t => {
  const door = new Door()
  let heard = 0
  const app = appOf(t, {
    slow: { plugin: () => door.pass() },
    broken: { plugin: async () => { throw new Error('no stock') } },
    early: { plugin: async scope => { scope.addHook('onListen', async () => { heard++ }) } }
  }, { acme: { template: 'slow' }, globex: { template: 'broken' }, initech: { template: 'early' } })
  app.addHook('onReady', async () => {
    await app.multitenant.preload('globex').catch(() => {})
    await app.multitenant.preload('initech')
  })
  await listen(app)
  t.equal(heard, 1, 'a template that is loaded before the app listens runs its onListen hooks then')
  const loaded = app.multitenant.init('acme')
  await door.reached
  t.match((await app.multitenant.stats()).templates, [
    { name: 'broken', state: 'failed', generation: 0, lastError: /no stock/ },
    { name: 'early', state: 'active', generation: 1, tenants: 1 },
    { name: 'slow', state: 'loading', generation: 0, tenants: 0, loadedAt: null }
  ])
  door.open()
  await loaded
})

t.test('an onClose hook of a template that never ends does not keep the app from closing', async t => {
  const log = new LogLines()
  const app = appOf(t, {
    stuck: { plugin: async scope => { scope.addHook('onClose', () => new Promise<void>(() => {})) } }
  }, { acme: { template: 'stuck' } }, { loadTimeout: 200 }, log.server)
  await app.ready()
  await app.multitenant.init('acme')
  await app.close()
  t.match(log.of('template failed to close'), [{ template: 'stuck', err: { message: 'An onClose hook of the template took too long' } }])
})

t.test('reloadTemplate() waits for a tenant that is being loaded, and leaves it if it is on no template', async t => {
  const door = new Door()
  const app = appOf(t, { shop: { config: {} } }, {
    acme: { template: 'shop' },
    plain: { config: async () => { await door.pass(); return {} } }
  })
  await app.ready()
  await app.multitenant.init('acme')
  const plain = app.multitenant.init('plain')
  await door.reached
  const reloaded = app.multitenant.reloadTemplate('shop')
  await until(async () => (await app.multitenant.stats()).templates[0]?.generation === 2)
  door.open()
  t.match(await reloaded, { generation: 2, reloaded: 1, failed: [] })
  t.equal((await plain).generation, 1)
})
