import { mock } from 'node:test'
import t from 'tap'
import { appWith, Door, Events, fakeTime, LogLines, MemorySource, send, turn, until } from '../fixtures/lifecycle/app.ts'
import { loaded, tenants } from '../fixtures/lifecycle/cap.ts'
import type { InlineTenant } from '../../index.ts'

t.test('idleTimeout unloads idle tenants', async t => {
  fakeTime(t)
  const door = new Door()
  const events = new Events(t)
  const app = appWith(t, tenants(['idle', 'used', 'busy'], door), { idleTimeout: 1_000 })
  await app.ready()
  await send(app, 'idle')
  await send(app, 'used')
  const slow = send(app, 'busy', '/slow')
  await door.reached
  for (let time = 0; time < 4; time++) {
    mock.timers.tick(500)
    await send(app, 'used')
  }
  await turn()
  t.same(await loaded(app), ['busy', 'used'])
  t.same(events.of('evict').map(({ id }) => id), ['idle'])
  t.equal((await send(app, 'idle')).body, 'idle')
  door.open()
  t.equal((await slow).body, 'busy')
})

t.test('the idle time starts at the end of the last request', async t => {
  fakeTime(t)
  const door = new Door()
  const app = appWith(t, tenants(['acme'], door), { idleTimeout: 1_000 })
  await app.ready()
  const slow = send(app, 'acme', '/slow')
  await door.reached
  mock.timers.tick(10_000)
  door.open()
  t.equal((await slow).body, 'acme')
  await turn()
  mock.timers.tick(500)
  await turn()
  t.same(await loaded(app), ['acme'])
  mock.timers.tick(1_000)
  await turn()
  t.same(await loaded(app), [])
})

t.test('many idle tenants are unloaded in several turns of the event loop', async t => {
  fakeTime(t)
  const ids = Array.from({ length: 1_200 }, (_, at) => `tenant-${at}`)
  const app = appWith(t, Object.fromEntries(ids.map(id => [id, {}])), { idleTimeout: 1_000, preload: true })
  await app.ready()
  t.match(await app.multitenant.stats(), { active: 1_200, resident: 1_200 })
  mock.timers.tick(500)
  mock.timers.tick(500)
  t.match(await app.multitenant.stats(), { active: 700 }, 'requests have their turn in between')
  await until(async () => (await app.multitenant.stats()).active === 0)
  t.match(await app.multitenant.stats(), { evictions: 1_200 })
})

t.test('without idleTimeout an idle tenant stays', async t => {
  fakeTime(t)
  const app = appWith(t, tenants(['acme']))
  await app.ready()
  await send(app, 'acme')
  mock.timers.tick(365 * 24 * 3_600_000)
  await turn()
  t.same(await loaded(app), ['acme'])
})

t.test('the number of known tenants does not affect the start', async t => {
  let listed = 0
  const source = Object.assign(new MemorySource(tenants(['acme'])), {
    async * list () {
      for (let index = 0; index < 10_000; index++) {
        listed++
        yield `tenant-${index}`
      }
    },
    count: () => 10_000
  })
  const app = appWith(t, source)
  await app.ready()
  t.equal((await send(app, 'acme')).body, 'acme')
  t.match(await app.multitenant.stats(), { total: 10_000, active: 1 })
  t.same(source.asked, ['acme'])
  t.equal(listed, 0)
})

for (const maxLoading of [1, 10]) {
  t.test(`with more tenants to preload than places, the others load at their first request, and the log says so: ${maxLoading} at a time`, async t => {
    const log = new LogLines()
    const app = appWith(t, Object.fromEntries(['a', 'b', 'c', 'd', 'e'].map(id => [id, {}])), { preload: true, maxResident: 3, maxLoading }, log.server)
    await app.ready()
    t.match(await app.multitenant.stats(), { active: 3, failed: 0 })
    t.match(log.of('not all tenants are preloaded'), [{ wanted: 5, preloaded: 3, maxResident: 3 }])
  })
}

t.test('a tenant that is unloaded while it loads keeps its place until it is closed', async t => {
  const door = new Door()
  const app = appWith(t, { acme: { plugin: async () => { await door.pass() } }, globex: { plugin: async () => {} } }, { maxActive: 1 })
  await app.ready()
  const loaded = app.multitenant.init('acme').catch(error => error.code)
  await door.reached
  const unloaded = app.multitenant.unload('acme')
  await t.rejects(app.multitenant.init('globex'), { code: 'FST_TENANT_OVERLOADED' })
  door.open()
  await Promise.all([loaded, unloaded])
})

t.test('a tenant that is reloaded and unloaded at once leaves nothing behind', async t => {
  const door = new Door()
  const app = appWith(t, { acme: { plugin: async scope => { scope.get('/', async () => { await door.pass(); return 'late' }) } } })
  await app.ready()
  const response = send(app, 'acme')
  await door.reached
  const { drain } = await app.multitenant.reload('acme')
  await app.multitenant.unload('acme')
  t.match((await app.multitenant.stats()).tenants, [{ id: 'acme', state: 'draining' }])
  door.open()
  await Promise.all([response, drain])
  t.same((await app.multitenant.stats()).tenants, [])
})

t.test('a closing tenant keeps its place until it is closed', async t => {
  const doors: Door[] = []
  let alive = 0
  let most = 0
  const ids = Array.from({ length: 12 }, (_, index) => `tenant-${index}`)
  const app = appWith(t, Object.fromEntries(ids.map(id => [id, {
    plugin: async scope => {
      most = Math.max(most, ++alive)
      scope.get('/', async () => id)
      scope.addHook('onClose', async () => {
        const door = new Door()
        doors.push(door)
        await door.pass()
        alive--
      })
    }
  } satisfies InlineTenant])), { maxActive: 3 })
  await app.ready()
  for (const id of ids.slice(0, 3)) await send(app, id)
  for (let from = 3; from < 12; from += 3) {
    const responses = ids.slice(from, from + 3).map(id => send(app, id))
    await until(() => doors.length === from)
    t.match(await app.multitenant.stats(), { active: 0, draining: 3, loading: 3 }, 'three end, and three wait for their places')
    for (const door of doors) door.open()
    t.same((await Promise.all(responses)).map(({ statusCode }) => statusCode), [200, 200, 200])
  }
  t.equal(most, 3)
  t.match(await app.multitenant.stats(), { active: 3, evictions: 9 })
  const closing = app.close()
  await until(() => doors.length === 12)
  for (const door of doors) door.open()
  await closing
  t.equal(alive, 0)
})

t.test('a request that waits for the place of a hanging tenant is refused after loadTimeout', async t => {
  fakeTime(t)
  const door = new Door()
  const app = appWith(t, {
    ...tenants(['b']),
    a: { plugin: async scope => { scope.get('/', async () => 'a').addHook('preClose', () => door.pass()) } }
  }, { maxActive: 1, loadTimeout: 1_000 })
  await app.ready()
  await send(app, 'a')
  const waiting = send(app, 'b')
  await door.reached
  mock.timers.tick(1_000)
  t.equal((await waiting).statusCode, 503)
  door.open()
})

t.test('a load gets the place of a tenant whose close hangs before loadTimeout', async t => {
  fakeTime(t)
  const door = new Door()
  const app = appWith(t, {
    ...tenants(['b']),
    a: { plugin: async scope => { scope.get('/', async () => 'a').addHook('onClose', () => door.pass()) } }
  }, { maxActive: 1, loadTimeout: 1_000 })
  await app.ready()
  await send(app, 'a')
  const waiting = send(app, 'b')
  await door.reached
  mock.timers.tick(500)
  t.equal((await waiting).body, 'b')
  door.open()
})

t.test('when the app closes, requests that wait for a place are refused', async t => {
  const door = new Door()
  const app = appWith(t, {
    ...tenants(['b']),
    a: { plugin: async scope => { scope.get('/', async () => 'a').addHook('onClose', () => door.pass()) } }
  }, { maxActive: 1 })
  await app.ready()
  await send(app, 'a')
  const waiting = codeOf(app.multitenant.init('b'))
  await door.reached
  const closing = app.close()
  t.equal(await waiting, 'FST_TENANT_CLOSED')
  door.open()
  await closing
})

t.test('a clock that is set back neither lengthens a pause nor keeps idle tenants', async t => {
  const app = appWith(t, { broken: { plugin: async () => { throw new Error('broken') } } })
  await app.ready()
  t.equal((await send(app, 'broken')).headers['retry-after'], '1')
  mock.timers.enable({ apis: ['Date'], now: Date.now() - 3_600_000 })
  t.teardown(() => mock.timers.reset())
  t.equal((await send(app, 'broken')).headers['retry-after'], '1')
})

/** The error that the app's own code gets. */
function codeOf (work: Promise<unknown>): Promise<string> {
  return work.then(() => 'served', error => error.code)
}
