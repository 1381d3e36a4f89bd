import { mock } from 'node:test'
import t from 'tap'
import { answers, answersBehind, appWith, Door, fakeTime, LogLines, send, turn, until } from '../fixtures/lifecycle/app.ts'
import type { InlineTenant } from '../../index.ts'
import type { Plugin } from '../fixtures/lifecycle/app.ts'

function tenants (count: number, plugin: Plugin = async scope => { scope.get('/', async request => request.tenantId) }): Record<string, InlineTenant> {
  return Object.fromEntries(Array.from({ length: count }, (_, index) => [`tenant-${String(index).padStart(2, '0')}`, { plugin }]))
}

t.test('without preload no tenant is loaded at boot', async t => {
  const app = appWith(t, tenants(3))
  await app.ready()
  t.match(await app.multitenant.stats(), { active: 0, loads: 0 })
})

t.test('preload: true loads all tenants before the app is ready', async t => {
  const log = new LogLines()
  const app = appWith(t, tenants(25), { preload: true }, log.server)
  await app.ready()
  t.match(await app.multitenant.stats(), { active: 25, loads: 25 })
  const progress = log.of('preloading tenants')
  t.ok(progress.length >= 5 && progress.length <= 10, `${progress.length} lines tell of the progress`)
  t.match(progress.at(-1), { total: 25, failed: 0 })
})

t.test('the last log line of a preload counts all tenants', async t => {
  const log = new LogLines()
  const app = appWith(t, tenants(25), { preload: true }, log.server)
  await app.ready()
  t.match(log.of('preloading tenants').at(-1), { loaded: 25, failed: 0, total: 25 })
})

t.test('preload: [ids] loads these tenants', async t => {
  const app = appWith(t, tenants(5), { preload: ['tenant-01', 'tenant-03'] })
  await app.ready()
  t.same((await app.multitenant.stats()).tenants.map(({ id }) => id), ['tenant-01', 'tenant-03'])
})

t.test('an app without tenants has nothing to preload', async t => {
  const app = appWith(t, {}, { preload: true })
  await app.ready()
  t.match(await app.multitenant.stats(), { loads: 0 })
  const other = appWith(t, tenants(1), { preload: [] })
  await other.ready()
  t.match(await other.multitenant.stats(), { loads: 0 })
})

t.test('a tenant that fails or does not exist delays neither the others nor the app', async t => {
  const log = new LogLines()
  const app = appWith(t, { ...tenants(2), broken: { plugin: async () => { throw new Error('broken') } } }, { preload: ['tenant-00', 'broken', 'nobody', 'tenant-01'] }, log.server)
  await app.ready()
  t.match(await app.multitenant.stats(), { active: 2, failed: 1 })
  t.match(log.of('tenant failed to load'), [{ tenantId: 'broken', err: { message: 'broken' } }])
  t.match(log.of('a tenant of the preload option does not exist or is not active'), [{ level: 40, tenantId: 'nobody' }])
  t.match(log.of('preloading tenants').at(-1), { loaded: 2, failed: 1, missing: 1, total: 4 })
  t.equal((await send(app, 'tenant-01')).body, 'tenant-01')
})

t.test('preload: true skips inactive tenants without a warning', async t => {
  const log = new LogLines()
  const app = appWith(t, { ...tenants(1), sleepy: { config: { active: false } } }, { preload: true }, log.server)
  await app.ready()
  t.strictSame(log.of('a tenant of the preload option does not exist or is not active'), [])
  t.match(log.of('preloading tenants').at(-1), { loaded: 1, failed: 0, missing: 1, total: 2 })
})

t.test('no more than maxLoading tenants preload at a time', async t => {
  let loading = 0
  let most = 0
  const app = appWith(t, tenants(20, async () => {
    most = Math.max(most, ++loading)
    await turn(2)
    loading--
  }), { preload: true, maxLoading: 3 })
  await app.ready()
  t.equal(most, 3)
  t.match(await app.multitenant.stats(), { active: 20 })
})

t.test("a preload that takes longer than Fastify's pluginTimeout continues while the app serves", async t => {
  fakeTime(t)
  const door = new Door()
  const app = appWith(t, { late: answersBehind(door, 'late'), quick: answers('quick') }, { preload: true, loadTimeout: 60_000 }, { pluginTimeout: 1_000 })
  const ready = app.ready()
  await door.reached
  mock.timers.tick(999)
  await ready
  mock.timers.tick(10_000)
  t.equal((await send(app, 'quick')).body, 'quick')
  const waiting = send(app, 'late')
  door.open()
  t.equal((await waiting).body, 'late', 'who asks for a tenant that is still being preloaded waits for it')
  t.match(await app.multitenant.stats(), { active: 2, loads: 2 })
})

t.test('without a pluginTimeout the app waits for the whole preload', async t => {
  fakeTime(t)
  const door = new Door()
  const app = appWith(t, tenants(1, () => door.pass()), { preload: true }, { pluginTimeout: 0 })
  let ready = false
  const done = Promise.resolve(app.ready()).then(() => { ready = true })
  await door.reached
  mock.timers.tick(9_000)
  await turn()
  t.equal(ready, false)
  door.open()
  await done
  t.match(await app.multitenant.stats(), { active: 1 })
})

t.test('a tenant in a long queue of preloads does not time out', async t => {
  fakeTime(t)
  const doors: Door[] = []
  const log = new LogLines()
  const app = appWith(t, tenants(3, async () => {
    const door = new Door()
    doors.push(door)
    await door.pass()
  }), { preload: true, maxLoading: 1, loadTimeout: 1_000 }, { ...log.server, pluginTimeout: 0 })
  const ready = app.ready()
  for (let index = 0; index < 3; index++) {
    await until(() => doors.length === index + 1)
    mock.timers.tick(600)
    await turn()
    doors[index]!.open()
  }
  await ready
  t.match(log.of('preloading tenants').at(-1), { loaded: 3, failed: 0, total: 3 })
})

t.test('an app can be closed during a preload', async t => {
  const door = new Door()
  const app = appWith(t, tenants(2, () => door.pass()), { preload: true, maxLoading: 1 }, { pluginTimeout: 200 })
  await app.ready()
  const closed = app.close()
  door.open()
  await t.resolves(closed)
})
