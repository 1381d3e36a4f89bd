import { mock } from 'node:test'
import t from 'tap'
import { answers, answersBehind, appWith, Door, Events, fakeTime, LogLines, MemorySource, refusal, send, turn, until } from '../fixtures/lifecycle/app.ts'
import type { FastifyInstance } from 'fastify'
import type { InlineTenant } from '../../index.ts'

const healthy = answers('healthy')

/** A tenant that fails to load while `broken` is set. */
class Broken {
  broken = true
  loads = 0
  readonly definition: InlineTenant = {
    plugin: async scope => {
      this.loads++
      if (this.broken) throw new Error('/secret/path is broken')
      scope.get('/', async () => 'mended')
    }
  }
}

t.test('a load that fails refuses all waiting requests, and the next attempt is made after a pause', async t => {
  fakeTime(t)
  const door = new Door()
  const events = new Events(t)
  const log = new LogLines()
  const acme = new Broken()
  const { plugin } = acme.definition
  const app = appWith(t, {
    acme: {
      plugin: async (scope, options) => {
        await door.pass()
        await plugin!(scope, options, () => {})
      }
    },
    globex: healthy
  }, {}, log.server)
  await app.ready()
  const responses = Array.from({ length: 100 }, () => send(app, 'acme'))
  await door.reached
  door.open()
  for (const response of await Promise.all(responses)) {
    t.same(refusal(response), [503, 'FST_TENANT_LOAD_FAILED'])
    t.equal(response.headers['retry-after'], '1')
    t.notMatch(response.body, /secret|globex|at /)
  }
  t.equal(acme.loads, 1)
  t.match(log.of('tenant failed to load'), [{ tenantId: 'acme', err: { message: '/secret/path is broken' } }])
  t.match(events.of('fail'), [{ id: 'acme', generation: 1, error: { code: 'FST_TENANT_LOAD_FAILED' } }])

  await send(app, 'acme')
  t.equal(acme.loads, 1, 'not tried again in the pause')
  t.equal((await send(app, 'globex')).body, 'healthy')

  acme.broken = false
  mock.timers.tick(1_000)
  t.equal((await send(app, 'acme')).body, 'mended')
  t.equal(acme.loads, 2)
  t.match(await app.multitenant.stats(), { failed: 0, loads: 3 })
})

t.test('a broken tenant is tried once per pause, and the pauses grow to a minute', async t => {
  fakeTime(t)
  const acme = new Broken()
  const app = appWith(t, { acme: acme.definition })
  await app.ready()
  const pauses = []
  for (let attempt = 1; attempt <= 8; attempt++) {
    const responses = await Promise.all(Array.from({ length: 20 }, () => send(app, 'acme')))
    t.equal(acme.loads, attempt)
    const [pause] = new Set(responses.map(({ headers }) => Number(headers['retry-after'])))
    pauses.push(pause)
    mock.timers.tick(pause! * 1000 - 1)
    t.equal((await send(app, 'acme')).headers['retry-after'], '1')
    t.equal(acme.loads, attempt)
    mock.timers.tick(1)
  }
  t.same(pauses, [1, 2, 4, 8, 16, 32, 60, 60])

  acme.broken = false
  t.equal((await send(app, 'acme')).body, 'mended')
  await app.multitenant.unload('acme')
  acme.broken = true
  t.equal((await send(app, 'acme')).headers['retry-after'], '1', 'a load that went well ends the row')
})

t.test('negative control: without the memory of failures a broken tenant loads at each request', async t => {
  const acme = new Broken()
  const app = appWith(t, { acme: acme.definition })
  await app.ready()
  for (let request = 0; request < 5; request++) await t.rejects(app.multitenant.init('acme'))
  t.equal(acme.loads, 5)
})

t.test('init() does not wait for the end of the pause', async t => {
  fakeTime(t)
  const acme = new Broken()
  const app = appWith(t, { acme: acme.definition })
  await app.ready()
  await t.rejects(app.multitenant.init('acme'), { code: 'FST_TENANT_LOAD_FAILED', cause: { message: '/secret/path is broken' } })
  acme.broken = false
  t.equal((await app.multitenant.init('acme')).id, 'acme')
  t.equal((await send(app, 'acme')).body, 'mended')
})

t.test('a load that hangs is given up after loadTimeout, and affects no other tenant', async t => {
  fakeTime(t)
  const door = new Door()
  const app = appWith(t, { acme: { plugin: () => door.pass() }, globex: healthy }, { loadTimeout: 5_000 })
  await app.ready()
  const first = send(app, 'acme')
  await door.reached
  t.equal((await send(app, 'globex')).body, 'healthy')
  mock.timers.tick(5_000)
  const response = await first
  t.same(refusal(response), [503, 'FST_TENANT_LOAD_TIMEOUT'])
  t.ok(Number(response.headers['retry-after']) >= 1)
  await until(async () => (await app.multitenant.stats()).loading === 0)
  t.match(await app.multitenant.stats(), { failed: 1, active: 1 })
  t.same(refusal(await send(app, 'acme')), [503, 'FST_TENANT_LOAD_FAILED'])
  t.equal(door.passed, 1)
})

t.test('a request that joins a hanging load later has its own time limit', async t => {
  fakeTime(t)
  const source = new MemorySource({ acme: healthy })
  const door = new Door()
  source.before = door.pass()
  const app = appWith(t, source, { loadTimeout: 5_000 })
  await app.ready()
  const first = send(app, 'acme')
  await turn()
  mock.timers.tick(4_000)
  const second = send(app, 'acme')
  await turn()
  mock.timers.tick(999)
  await turn()
  door.open()
  t.equal((await first).body, 'healthy')
  t.equal((await second).body, 'healthy')
})

t.test('hanging loads of many tenants do not delay the rest of the app', async t => {
  const hanging = Array.from({ length: 5 }, (_, index) => `hanging-${index}`)
  const door = new Door()
  const tenants = Object.fromEntries(hanging.map(id => [id, { plugin: () => door.pass() }]))
  const app = appWith(t, { ...tenants, globex: healthy }, { maxLoading: 5 })
  app.get('/shared', async request => request.tenantId)
  await app.ready()
  await app.multitenant.init('globex')
  const waiting = hanging.map(id => send(app, id))
  await until(() => door.passed === 5)
  t.equal((await send(app, 'globex')).body, 'healthy')
  t.equal((await app.inject('/shared')).statusCode, 200)
  door.open()
  await Promise.all(waiting)
})

t.test('no more than maxLoading tenants load at a time', async t => {
  let loading = 0
  let most = 0
  const doors: Door[] = []
  const ids = Array.from({ length: 20 }, (_, index) => `tenant-${index}`)
  const app = appWith(t, Object.fromEntries(ids.map(id => [id, {
    plugin: async scope => {
      most = Math.max(most, ++loading)
      const door = new Door()
      doors.push(door)
      await door.pass()
      loading--
      scope.get('/', async () => id)
    }
  } satisfies InlineTenant])), { maxLoading: 3 })
  await app.ready()
  const responses = ids.map(id => send(app, id))
  for (let loaded = 0; loaded < ids.length; loaded++) {
    await until(() => doors.length > loaded)
    doors[loaded]!.open()
  }
  t.same((await Promise.all(responses)).map(({ body }) => body), ids)
  t.equal(most, 3)
})

t.test('more than maxWaiting requests that wait for a tenant are refused', async t => {
  const door = new Door()
  const app = appWith(t, { acme: answersBehind(door, 'acme'), globex: healthy }, { maxWaiting: 3 })
  await app.ready()
  const waiting = Array.from({ length: 3 }, () => send(app, 'acme'))
  await door.reached
  const refused = await send(app, 'acme')
  t.same(refusal(refused), [503, 'FST_TENANT_BUSY'])
  t.equal(refused.headers['retry-after'], '1')
  t.equal((await send(app, 'globex')).body, 'healthy')
  door.open()
  t.same((await Promise.all(waiting)).map(({ body }) => body), ['acme', 'acme', 'acme'])
})

t.test('a tenant that asks for itself while it is loaded fails at once', async t => {
  const ways: Record<string, (app: FastifyInstance) => Promise<unknown>> = {
    init: app => app.multitenant.init('acme'),
    reload: app => app.multitenant.reload('acme'),
    run: app => app.multitenant.run('acme', () => 'ran'),
    inject: async app => {
      const response = await app.inject({ url: '/', headers: { 'x-tenant-id': 'acme' } })
      if (response.statusCode !== 200) throw Object.assign(new Error('not answered'), { code: response.json()['code'] })
    }
  }
  for (const [name, ask] of Object.entries(ways)) {
    await t.test(`by ${name}`, async t => {
      fakeTime(t)
      const asked: unknown[] = []
      const app = appWith(t, {
        acme: {
          plugin: async scope => {
            await ask(app).catch(error => asked.push(error))
            scope.get('/', async () => 'acme')
          }
        }
      })
      t.equal((await send(app, 'acme')).body, 'acme', 'no timer has run: nothing waited for a time limit')
      t.match(asked, [{ code: 'FST_TENANT_LOAD_FAILED' }])
    })
  }
})

t.test('tenants that wait for each other while they load fail at once', async t => {
  fakeTime(t)
  const errors: unknown[] = []
  const app = appWith(t, {
    acme: {
      plugin: async scope => {
        await app.multitenant.init('globex')
        scope.get('/', async () => 'acme')
      }
    },
    globex: {
      plugin: async () => {
        await app.multitenant.init('acme').catch(error => errors.push(error))
      }
    }
  })
  t.equal((await send(app, 'acme')).body, 'acme')
  t.match(errors, [{ code: 'FST_TENANT_LOAD_FAILED', message: "Tenant 'acme' could not be loaded" }])
})

t.test('tenants that load separately and then wait for each other fail at once', async t => {
  const doors = { acme: new Door(), globex: new Door() }
  const errors: unknown[] = []
  const asks = (id: 'acme' | 'globex', other: string): InlineTenant => ({
    plugin: async scope => {
      await doors[id].pass()
      await app.multitenant.init(other).catch(error => errors.push(error))
      scope.get('/', async () => id)
    }
  })
  fakeTime(t)
  const app = appWith(t, { acme: asks('acme', 'globex'), globex: asks('globex', 'acme') })
  await app.ready()
  const responses = [send(app, 'acme'), send(app, 'globex')]
  await Promise.all([doors.acme.reached, doors.globex.reached])
  doors.acme.open()
  doors.globex.open()
  const answered = Promise.all(responses).then(() => 'answered')
  t.equal(await Promise.race([answered, turn(200).then(() => 'nobody is answered before loadTimeout')]), 'answered')
  mock.timers.tick(20_000)
  await turn(50)
  mock.timers.tick(20_000)
})

t.test('a load that another load waits for does not queue behind it', async t => {
  fakeTime(t)
  const door = new Door()
  const app = appWith(t, {
    acme: {
      plugin: async scope => {
        await door.pass()
        await app.multitenant.init('globex')
        scope.get('/', async () => 'acme')
      }
    },
    globex: healthy
  }, { maxLoading: 1 })
  await app.ready()
  const acme = send(app, 'acme')
  await door.reached
  const globex = send(app, 'globex')
  await turn()
  door.open()
  const answered = Promise.all([acme, globex]).then(responses => responses.map(({ body }) => body))
  t.same(await Promise.race([answered, turn(200).then(() => 'both wait for each other until loadTimeout')]), ['acme', 'healthy'])
  mock.timers.tick(20_000)
  await turn(50)
  mock.timers.tick(20_000)
})

t.test('code that a tenant starts during its load may ask for the tenant later', async t => {
  const door = new Door()
  let later: Promise<unknown> = Promise.resolve()
  const app = appWith(t, {
    acme: {
      plugin: async scope => {
        later = door.pass().then(() => app.multitenant.run('acme', tenant => `ran in ${tenant}`))
        scope.get('/', async () => 'acme')
      }
    }
  })
  t.equal((await send(app, 'acme')).body, 'acme')
  door.open()
  t.equal(await later, 'ran in acme')
  await app.multitenant.unload('acme')
})
