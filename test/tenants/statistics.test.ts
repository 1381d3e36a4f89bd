import { channel, subscribe, unsubscribe } from 'node:diagnostics_channel'
import t from 'tap'
import { appWith, Door, Events, MemorySource, send, until } from '../fixtures/lifecycle/app.ts'
import type { InlineTenant } from '../../index.ts'

const plain: InlineTenant = {
  plugin: async scope => {
    scope.get('/', async () => 'ok')
    scope.get('/fails', async () => { throw new Error('oh') })
    scope.get('/refuses', async (_request, reply) => reply.code(404).send('no'))
  }
}

t.test('stats of an app where nothing has happened', async t => {
  const app = appWith(t, { acme: plain, globex: plain })
  await app.ready()
  t.same(await app.multitenant.stats(), {
    total: 2, active: 0, resident: 0, inactive: 2, loading: 0, failed: 0, suspended: 0, draining: 0, loads: 0, reloads: 0, evictions: 0, unknown: 0, tenants: [], templates: []
  })
})

t.test('stats() counts requests, loads and errors', async t => {
  const door = new Door()
  const app = appWith(t, {
    acme: plain,
    broken: { plugin: async () => { throw new Error('cannot start') } },
    suspended: plain,
    waiting: { plugin: () => door.pass() },
    inactive: plain
  })
  await app.ready()
  const started = Date.now()
  for (const url of ['/', '/fails', '/fails', '/refuses', '/nowhere']) await send(app, 'acme', url)
  await send(app, 'broken')
  await send(app, 'nobody')
  await app.multitenant.suspend('suspended')
  const waiting = send(app, 'waiting')
  await door.reached
  await app.multitenant.reload('acme')
  await send(app, 'acme', '/fails')
  await until(async () => (await app.multitenant.stats()).draining === 0)

  const stats = await app.multitenant.stats()
  t.match(stats, { total: 5, active: 1, inactive: 4, loading: 1, failed: 1, suspended: 1, draining: 0, loads: 3, reloads: 1, evictions: 0, unknown: 1 })
  const [acme, broken, suspended, loading, ...more] = stats.tenants
  t.same(more, [])
  t.match(acme, { id: 'acme', state: 'active', generation: 2, inFlight: 0, requests: 1, errors: 1, lastError: null })
  t.ok(acme!.loadedAt!.getTime() >= started)
  t.ok(acme!.lastUsedAt!.getTime() >= acme!.loadedAt!.getTime())
  t.type(acme!.loadMs, 'number')
  t.match(broken, { id: 'broken', state: 'failed', generation: 0, inFlight: 0, requests: 0, errors: 0, loadedAt: null, lastUsedAt: null, loadMs: null, lastError: 'cannot start' })
  t.match(suspended, { id: 'suspended', state: 'suspended', lastError: null })
  t.match(loading, { id: 'waiting', state: 'loading', generation: 0 })
  door.open()
  await waiting
})

t.test('stats() returns tenants in pages', async t => {
  const ids = Array.from({ length: 120 }, (_, index) => `tenant-${String(index).padStart(3, '0')}`)
  const app = appWith(t, Object.fromEntries(ids.map(id => [id, {}])), { maxActive: 200 })
  await app.ready()
  for (const id of ids) await app.multitenant.init(id)
  const idsOf = async (options?: { limit?: number, after?: string }): Promise<string[]> => (await app.multitenant.stats(options)).tenants.map(({ id }) => id)
  t.same(await idsOf(), ids.slice(0, 100), 'a hundred, if nothing else is said')
  t.same(await idsOf({ limit: 3 }), ids.slice(0, 3))
  t.same(await idsOf({ limit: 3, after: 'tenant-002' }), ids.slice(3, 6))
  t.same(await idsOf({ after: 'tenant-099' }), ids.slice(100))
  t.same(await idsOf({ after: 'tenant-119' }), [])
  t.same(await idsOf({ limit: 0 }), [])
  t.equal((await app.multitenant.stats({ limit: 1 })).active, 120, 'the counts are of all')
})

t.test('stats() takes the number of tenants from a source that has count()', async t => {
  const source = Object.assign(new MemorySource({ acme: plain }), { count: async () => 12_345 })
  const app = appWith(t, source)
  await app.ready()
  t.match(await app.multitenant.stats(), { total: 12_345, inactive: 12_345 })
})

t.test('no URL serves stats()', async t => {
  const app = appWith(t, { acme: plain })
  await app.ready()
  for (const url of ['/stats', '/multitenant', '/tenants', '/_tenants', '/metrics']) t.equal((await send(app, 'acme', url)).statusCode, 404)
})

t.test('an error names to a client no other tenant, no path and no cause', async t => {
  const app = appWith(t, {
    acme: { plugin: async () => { throw new Error('/srv/tenants/globex/secret.js is broken') } },
    globex: plain
  })
  await app.ready()
  await app.multitenant.init('globex')
  await app.multitenant.suspend('globex')
  for (const [id, url] of [['acme', '/'], ['nobody', '/'], ['acme', '/x'], ['../globex', '/'], ['__proto__', '/']] as const) {
    const response = await send(app, id, url)
    t.ok(response.statusCode >= 400)
    t.notMatch(response.body.replaceAll(id, ''), /globex|srv|stack|\.js/)
  }
})

t.test('diagnostics channels report loads, reloads, evictions, drains and failures', async t => {
  const events = new Events(t)
  let broken = false
  const app = appWith(t, {
    acme: { plugin: async () => { if (broken) throw new Error('broken') } },
    globex: plain
  }, { maxActive: 1 })
  await app.ready()
  await app.multitenant.init('acme')
  const { drain } = await app.multitenant.reload('acme')
  await drain
  broken = true
  await t.rejects(app.multitenant.reload('acme'))
  const evicted = events.next('drain')
  await app.multitenant.init('globex')
  await evicted
  await t.rejects(app.multitenant.init('nobody'))
  t.same(events.names, [
    'load acme 1', 'reload acme 2', 'drain acme 1', 'fail acme 3', 'evict acme 2', ...events.names.slice(5, 7)
  ])
  t.same(events.names.slice(5, 7).sort(), ['drain acme 2', 'load globex 1'])
  for (const message of [...events.of('load'), ...events.of('reload')]) t.type(message.ms, 'number')
  for (const message of events.of('drain')) t.match(message, { drained: true, forced: [] })
  t.match(events.of('fail'), [{ error: { code: 'FST_TENANT_LOAD_FAILED' } }])
})

t.test('a subscriber that throws harms no tenant', async t => {
  const listener = (): void => { throw new Error('a bad listener') }
  const errors: unknown[] = []
  const note = (error: unknown): unknown => errors.push(error)
  const handlers = process.listeners('uncaughtException')
  process.removeAllListeners('uncaughtException')
  process.on('uncaughtException', note)
  t.teardown(() => {
    process.removeListener('uncaughtException', note)
    for (const handler of handlers) process.on('uncaughtException', handler)
  })
  subscribe('fastify-multitenant:load', listener)
  t.teardown(() => unsubscribe('fastify-multitenant:load', listener))
  t.equal(channel('fastify-multitenant:load').hasSubscribers, true)
  const app = appWith(t, { acme: plain })
  t.equal((await send(app, 'acme')).body, 'ok')
  await until(() => errors.length > 0)
})

t.test('a thrown value that is not an error is reported, and a tenant with its last requests is draining', async t => {
  const door = new Door()
  const app = appWith(t, {
    odd: { plugin: async () => { throw 'a word' } }, // eslint-disable-line no-throw-literal -- that is the point
    acme: { plugin: async scope => { scope.get('/', async () => { await door.pass(); return 'late' }) } }
  })
  await app.ready()
  await t.rejects(app.multitenant.init('odd'))
  const response = send(app, 'acme')
  await door.reached
  const unloaded = app.multitenant.unload('acme')
  const { tenants } = await app.multitenant.stats()
  t.match(tenants, [{ id: 'acme', state: 'draining' }, { id: 'odd', state: 'failed', lastError: 'a word' }])
  door.open()
  await Promise.all([response, unloaded])
})
