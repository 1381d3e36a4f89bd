import { mock } from 'node:test'
import t from 'tap'
import { ConcurrencyLimit } from '../../lib/tenants/concurrency-limit.ts'
import { LoadQueue } from '../../lib/tenants/load-queue.ts'
import { answers, answersBehind, appWith, Door, fakeTime, send, turn, until } from '../fixtures/lifecycle/app.ts'

t.test('sixty healthy tenants load and answer beside thirty that hang', async t => {
  fakeTime(t)
  const door = new Door()
  const hanging = Array.from({ length: 30 }, (_, index) => `hanging-${index}`)
  const healthy = Array.from({ length: 60 }, (_, index) => `healthy-${index}`)
  const app = appWith(t, {
    ...Object.fromEntries(hanging.map(id => [id, answersBehind(door, id)])),
    ...Object.fromEntries(healthy.map(id => [id, answers(id)]))
  })
  await app.ready()
  const waiting = hanging.map(id => send(app, id))
  await until(() => door.passed === 10)
  const responses = healthy.map(id => send(app, id))
  for (const passed of [20, 30]) {
    await turn()
    mock.timers.tick(250)
    await until(() => door.passed === passed)
  }
  await turn()
  mock.timers.tick(250)
  t.same((await Promise.all(responses)).map(({ statusCode, body }) => [statusCode, body]), healthy.map(id => [200, id]))
  t.equal(door.passed, 30, 'while all thirty hang')
  door.open()
  t.same((await Promise.all(waiting)).map(({ statusCode }) => statusCode), hanging.map(() => 200))
})

t.test('a slow task lets others start, up to a limit', async t => {
  fakeTime(t)
  let free = 0
  const limit = new ConcurrencyLimit({ limit: 2, hardLimit: 5, patience: 100, onFree: () => { free++ } })
  const ends = [limit.begin(), limit.begin()]
  t.notOk(limit.free)
  mock.timers.tick(100)
  t.equal(free, 2)
  t.ok(limit.free)
  ends.push(limit.begin(), limit.begin())
  t.notOk(limit.free, 'as many as before have their turn')
  mock.timers.tick(100)
  ends.push(limit.begin())
  mock.timers.tick(100)
  t.notOk(limit.free, 'with most all are counted')
  ends[0]?.()
  t.ok(limit.free)
  for (const end of ends.slice(1)) end()
  limit.begin()
  t.ok(limit.free)
  limit.begin()
  t.notOk(limit.free, 'nothing is left of those that are over')
})

t.test('a task that ends in time gives no turn back later', async t => {
  fakeTime(t)
  const limit = new ConcurrencyLimit({ limit: 1, hardLimit: 1, patience: 100, onFree: () => {} })
  limit.begin()()
  limit.begin()
  mock.timers.tick(50)
  t.notOk(limit.free)
})

t.test('a task that waits for another task passes its turn to it', async t => {
  let free = 0
  const limit = new ConcurrencyLimit({ limit: 1, hardLimit: 1, patience: 1_000, onFree: () => { free++ } })
  const end = limit.begin()
  t.equal(await limit.pauseWhile(async () => {
    t.ok(limit.free)
    return 'waited'
  }), 'waited')
  t.notOk(limit.free)
  t.equal(free, 1)
  end()
})

t.test('when too many loads are queued, the next one is refused at once', async t => {
  const queue = new LoadQueue({ maxLoading: 1, maxActive: 100, loadTimeout: 60_000 })
  const door = new Door()
  const loads = Array.from({ length: 1_001 }, () => queue.run('acme', () => door.pass()))
  await t.rejects(queue.run('acme', () => door.pass()), { code: 'FST_TENANT_OVERLOADED', headers: { 'retry-after': '1' } })
  t.equal(door.passed, 1)
  door.open()
  await Promise.all(loads)
  t.equal(door.passed, 1_001)
})

t.test('loads that hang take at most half of the places for tenants in memory', async t => {
  fakeTime(t)
  const door = new Door()
  const queue = new LoadQueue({ maxLoading: 2, maxActive: 10, loadTimeout: 60_000 })
  const loads = Array.from({ length: 20 }, () => queue.run('acme', () => door.pass()))
  for (let time = 0; time < 10; time++) {
    mock.timers.tick(250)
    await turn()
  }
  t.equal(door.passed, 5)
  door.open()
  await Promise.all(loads)
})

t.test('negative control: with as many turns as hanging tenants, a healthy one waits for them', async t => {
  fakeTime(t)
  const door = new Door()
  // If half of `maxActive` is less, only that many may load.
  const app = appWith(t, {
    ...Object.fromEntries(['a', 'b'].map(id => [id, answersBehind(door, id)])),
    healthy: answers('healthy')
  }, { maxLoading: 2, maxActive: 4 })
  await app.ready()
  const hanging = [send(app, 'a'), send(app, 'b')]
  await until(() => door.passed === 2)
  const healthy = send(app, 'healthy')
  let answered = false
  healthy.then(() => { answered = true }, () => {})
  for (let time = 0; time < 20; time++) {
    await turn()
    mock.timers.tick(250)
  }
  t.notOk(answered)
  door.open()
  await Promise.all([...hanging, healthy])
})
