import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { mock } from 'node:test'
import t from 'tap'
import { answers, appWith, call, Door, fakeTime, listen, LogLines, MemorySource, refusal, send, turn, until } from '../fixtures/lifecycle/app.ts'
import type { InlineTenant } from '../../index.ts'
import type { Teardown } from '../fixtures/lifecycle/app.ts'

const healthy = answers('healthy')

/** The clock of the memory of unknown ids, which the mocked Date does not reach. */
function fakeClock (t: Teardown): { advance (ms: number): void } {
  const started = performance.now()
  let now = started
  const mocked = mock.method(performance, 'now', () => now)
  t.teardown(() => mocked.mock.restore())
  return { advance: ms => { now += ms } }
}

t.test('one request more than maxInFlight is refused until another one has closed', async t => {
  const door = new Door()
  const app = appWith(t, {
    acme: {
      plugin: async scope => {
        scope.get('/', async (_request, reply) => {
          reply.raw.write('begun ')
          await door.pass()
          reply.raw.end('ended')
        })
        scope.get('/quick', async () => 'quick')
      }
    },
    globex: healthy
  }, { maxInFlight: 2 })
  const address = await listen(app)
  await app.multitenant.init('acme')
  const streams = [await call(address, 'acme'), await call(address, 'acme')]
  const refused = await send(app, 'acme', '/quick')
  t.same(refusal(refused), [503, 'FST_TENANT_BUSY'])
  t.equal(refused.headers['retry-after'], '1')
  await t.rejects(app.multitenant.run('acme', () => 'ran'), { code: 'FST_TENANT_BUSY' })
  t.equal((await send(app, 'globex')).body, 'healthy', 'another tenant has places of its own')
  door.open()
  await Promise.all(streams.map(stream => stream.text()))
  await until(async () => (await app.multitenant.stats()).tenants[0]?.inFlight === 0)
  t.equal((await send(app, 'acme', '/quick')).body, 'quick')
})

t.test('requests that waited for a tenant to load count for maxInFlight too', async t => {
  const loaded = new Door()
  const door = new Door()
  let most = 0
  let running = 0
  const app = appWith(t, {
    acme: {
      plugin: async scope => {
        await loaded.pass()
        scope.get('/', async () => {
          most = Math.max(most, ++running)
          await door.pass()
          running--
          return 'acme'
        })
      }
    }
  }, { maxInFlight: 2 })
  await app.ready()
  const responses = Array.from({ length: 10 }, () => send(app, 'acme'))
  await loaded.reached
  loaded.open()
  await door.reached
  await turn()
  door.open()
  const statuses = (await Promise.all(responses)).map(({ statusCode }) => statusCode)
  t.equal(most, 2)
  t.same(statuses.filter(status => status === 200).length, 2)
})

t.test('an error of a source is a 503, is logged, and is never remembered as "not found"', async t => {
  const log = new LogLines()
  const source = new MemorySource({ acme: healthy })
  const app = appWith(t, source, {}, log.server)
  source.failure = new Error('/secret/database is down')
  for (let time = 0; time < 2; time++) {
    const response = await send(app, 'acme')
    t.same(refusal(response), [503, 'FST_TENANT_LOAD_FAILED'])
    t.equal(response.headers['retry-after'], '1')
    t.notMatch(response.body, 'secret')
  }
  t.match(log.of('the source of tenants failed'), [{ tenantId: 'acme', err: { message: '/secret/database is down' } }])
  source.failure = undefined
  t.equal((await send(app, 'acme')).body, 'healthy', 'the first request after that is answered')
  t.match(await app.multitenant.stats(), { unknown: 0, failed: 0 })
})

t.test('a source that does not answer is given up after loadTimeout', async t => {
  fakeTime(t)
  const source = new MemorySource({ acme: healthy })
  source.before = new Promise(() => {})
  const app = appWith(t, source, { loadTimeout: 1_000 })
  await app.ready()
  const response = send(app, 'acme')
  await until(() => source.asked.length === 1)
  await turn()
  mock.timers.tick(1_000)
  t.equal((await response).statusCode, 503)
  source.before = undefined
  await turn()
  t.equal((await send(app, 'acme')).body, 'healthy')
})

t.test('the source is asked for an unknown id once in a while, and not at each request', async t => {
  fakeTime(t)
  const clock = fakeClock(t)
  const source = new MemorySource()
  const app = appWith(t, source)
  await app.ready()
  for (let time = 0; time < 50; time++) {
    const response = await send(app, 'nobody')
    t.same(refusal(response), [404, 'FST_TENANT_NOT_FOUND'])
  }
  t.equal(source.asked.length, 1)
  t.match(await app.multitenant.stats(), { unknown: 1, tenants: [] })
  source.tenants.set('nobody', healthy)
  clock.advance(5_001)
  mock.timers.tick(5_001)
  t.equal((await send(app, 'nobody')).body, 'healthy', 'for some seconds only')
})

t.test('the memory of unknown ids is bounded', async t => {
  const source = new MemorySource()
  const app = appWith(t, source)
  await app.ready()
  for (let from = 0; from < 10_500; from += 500) {
    await Promise.all(Array.from({ length: 500 }, (_, index) => app.multitenant.run(`nobody-${from + index}`, () => {}).catch(() => {})))
  }
  t.match(await app.multitenant.stats(), { unknown: 10_000, active: 0, failed: 0, tenants: [] }, 'and nothing else is kept of them')
})

t.test('a tenant that was unknown is found as soon as its folder exists', async t => {
  const dir = t.testdir({})
  const app = appWith(t, dir)
  await app.ready()
  t.equal((await send(app, 'early')).statusCode, 404)
  t.equal((await app.multitenant.stats()).unknown, 1)
  await mkdir(join(dir, 'early'))
  await writeFile(join(dir, 'early', 'index.mjs'), "export default async app => { app.get('/', async () => 'early') }")
  await until(async () => (await app.multitenant.stats()).unknown === 0)
  t.equal((await send(app, 'early')).body, 'early')
})

t.test('init() finds an id that is remembered as unknown', async t => {
  const source = new MemorySource()
  const app = appWith(t, source)
  t.equal((await send(app, 'late')).statusCode, 404)
  source.tenants.set('late', healthy)
  await app.multitenant.init('late')
  t.equal((await send(app, 'late')).body, 'healthy')
  await app.multitenant.unload('late')
  t.equal((await send(app, 'late')).body, 'healthy', 'and after it was unloaded again')
})

t.test('a source without watch() works', async t => {
  const log = new LogLines()
  const source = Object.assign(new MemorySource({ acme: healthy }), { watch: () => { throw new Error('no watchers left') } })
  const app = appWith(t, source, {}, log.server)
  t.equal((await send(app, 'acme')).body, 'healthy')
  t.equal(log.lines.filter(({ level }) => level === 40).length, 1)
})

t.test('a tenant whose plugins fail in unusual ways ends neither the process nor another tenant', async t => {
  const ways: Record<string, InlineTenant['plugin']> = {
    throws: () => { throw new Error('thrown') },
    rejects: async () => { throw new Error('rejected') },
    'calls-back': (_scope, _options, done) => done(new Error('called back')),
    'on-ready': async scope => { scope.addHook('onReady', async () => { throw new Error('not ready') }) },
    'same-route-twice': async scope => { scope.get('/', async () => '').get('/', async () => '') }
  }
  const app = appWith(t, { ...Object.fromEntries(Object.entries(ways).map(([id, plugin]) => [id, { plugin: plugin! }])), globex: healthy })
  await app.ready()
  for (const id of Object.keys(ways)) {
    t.same(refusal(await send(app, id)), [503, 'FST_TENANT_LOAD_FAILED'], id)
  }
  t.equal((await send(app, 'globex')).body, 'healthy')
  t.match(await app.multitenant.stats(), { failed: Object.keys(ways).length, active: 1 })
})

t.test('a failed load closes whatever it has opened', async t => {
  const events: string[] = []
  const app = appWith(t, {
    acme: {
      plugin: async scope => {
        scope.addHook('onClose', async () => { events.push('closed') })
        throw new Error('broken')
      }
    }
  })
  t.equal((await send(app, 'acme')).statusCode, 503)
  t.same(events, ['closed'])
})
