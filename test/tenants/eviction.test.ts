import t from 'tap'
import { appWith, Door, Events, refusal, send, until } from '../fixtures/lifecycle/app.ts'
import { loaded, tenants } from '../fixtures/lifecycle/cap.ts'

t.test('at maxActive the least recently used tenant is evicted', async t => {
  const events = new Events(t)
  const app = appWith(t, tenants(['a', 'b', 'c', 'd', 'e']), { maxActive: 3 })
  for (const id of ['a', 'b', 'c']) await send(app, id)
  await send(app, 'a')
  await send(app, 'd')
  t.same(await loaded(app), ['a', 'c', 'd'])
  await send(app, 'c')
  await send(app, 'e')
  t.same(await loaded(app), ['c', 'd', 'e'])
  t.same(events.of('evict').map(({ id }) => id), ['b', 'a'])
  t.match(await app.multitenant.stats(), { total: 5, active: 3, inactive: 2, evictions: 2 })
  t.equal((await send(app, 'b')).body, 'b', 'an evicted tenant is loaded when it is asked for')
})

t.test('a load counts as a use', async t => {
  const app = appWith(t, tenants(['a', 'b', 'c']), { maxActive: 2 })
  await app.ready()
  await app.multitenant.init('a')
  await app.multitenant.init('b')
  await app.multitenant.init('c')
  t.same(await loaded(app), ['b', 'c'])
})

t.test('a busy tenant is never evicted, however long ago it was used', async t => {
  const door = new Door()
  const app = appWith(t, tenants(['a', 'b', 'c', 'd'], door), { maxActive: 2 })
  await app.ready()
  const slow = send(app, 'a', '/slow')
  await door.reached
  for (const id of ['b', 'c', 'd', 'b', 'c']) {
    t.equal((await send(app, id)).body, id)
    t.ok((await loaded(app)).includes('a'))
  }
  door.open()
  t.equal((await slow).body, 'a')
  await send(app, 'd')
  await send(app, 'b')
  t.same(await loaded(app), ['b', 'd'], 'until it is idle')
})

t.test('when all tenants are busy, the next one is refused', async t => {
  const door = new Door()
  const app = appWith(t, tenants(['a', 'b', 'c'], door), { maxActive: 2 })
  await app.ready()
  const slow = [send(app, 'a', '/slow'), send(app, 'b', '/slow')]
  await until(() => door.passed === 2)
  const refused = await send(app, 'c')
  t.same(refusal(refused), [503, 'FST_TENANT_OVERLOADED'])
  t.equal(refused.headers['retry-after'], '1')
  t.notMatch(refused.body, /\ba\b|\bb\b/, 'says nothing of the others')
  await t.rejects(app.multitenant.run('c', () => 'ran'), { code: 'FST_TENANT_OVERLOADED' })
  t.equal((await send(app, 'a')).body, 'a', 'those that are loaded go on')
  t.match(await app.multitenant.stats(), { active: 2, failed: 0, evictions: 0 })
  door.open()
  await Promise.all(slow)
  t.equal((await send(app, 'c')).body, 'c', 'not remembered as a failure')
})

t.test('a tenant that runs a job is busy', async t => {
  const door = new Door()
  const app = appWith(t, tenants(['a', 'b']), { maxActive: 1 })
  await app.ready()
  const job = app.multitenant.run('a', () => door.pass())
  await door.reached
  t.same(refusal(await send(app, 'b')), [503, 'FST_TENANT_OVERLOADED'])
  door.open()
  await job
  t.equal((await send(app, 'b')).body, 'b')
})

t.test('a loading tenant has a place, and a reloading one keeps it', async t => {
  const doors = [new Door(), new Door()]
  let loads = 0
  const app = appWith(t, {
    ...tenants(['b']),
    a: {
      plugin: async scope => {
        await doors[loads++]?.pass()
        scope.get('/', async () => 'a')
      }
    }
  }, { maxActive: 1 })
  await app.ready()
  const first = send(app, 'a')
  await doors[0]!.reached
  t.same(refusal(await send(app, 'b')), [503, 'FST_TENANT_OVERLOADED'])
  doors[0]!.open()
  t.equal((await first).body, 'a')

  const reloaded = app.multitenant.reload('a')
  await doors[1]!.reached
  t.same(refusal(await send(app, 'b')), [503, 'FST_TENANT_OVERLOADED'])
  doors[1]!.open()
  t.equal((await reloaded).generation, 2, 'a reload needs no place of its own')
  t.equal((await send(app, 'b')).body, 'b')
})

t.test('a failed load gives its place back', async t => {
  const app = appWith(t, { ...tenants(['a']), broken: { plugin: async () => { throw new Error('broken') } } }, { maxActive: 1 })
  t.equal((await send(app, 'broken')).statusCode, 503)
  t.equal((await send(app, 'a')).body, 'a')
  t.match(await app.multitenant.stats(), { active: 1, evictions: 0 })
})

t.test('unknown ids take no places', async t => {
  const app = appWith(t, tenants(['a']), { maxActive: 1 })
  await send(app, 'a')
  for (let index = 0; index < 20; index++) t.equal((await send(app, `nobody-${index}`)).statusCode, 404)
  t.same(await loaded(app), ['a'])
  t.match(await app.multitenant.stats(), { loads: 1, evictions: 0 })
})

t.test('many tenants for few places are all answered, with one load each time they come in', async t => {
  const ids = Array.from({ length: 12 }, (_, index) => `tenant-${index}`)
  const events = new Events(t)
  const app = appWith(t, tenants(ids), { maxActive: 4 })
  await app.ready()
  let most = 0
  const counts = { 200: 0, 503: 0, other: 0 }
  for (let round = 0; round < 20; round++) {
    // No more at a time than there are places, so that all requests can be answered.
    const group = [0, 1, 2, 3].map(index => ids[(round * 3 + index) % ids.length]!)
    const responses = await Promise.all(group.flatMap(id => [send(app, id), send(app, id), send(app, id)]))
    for (const { statusCode } of responses) counts[statusCode === 200 ? 200 : statusCode === 503 ? 503 : 'other']++
    most = Math.max(most, (await app.multitenant.stats()).active)
  }
  t.same(counts, { 200: 240, 503: 0, other: 0 })
  t.equal(most, 4)
  const { loads, evictions } = await app.multitenant.stats()
  t.equal(loads, events.of('load').length)
  t.equal(evictions, loads - 4, 'each load but the first four took the place of one')
})

t.test('negative control: without a lease from the load, a request finds its tenant evicted', async t => {
  const app = appWith(t, tenants(['a', 'b']), { maxActive: 1 })
  await app.ready()
  const tenant = await app.multitenant.init('a')
  await app.multitenant.init('b')
  t.equal(tenant.active, false)
  t.same(await loaded(app), ['b'])
})

t.test('a place is not lost when a response closes twice', async t => {
  const door = new Door()
  let raw: NodeJS.EventEmitter | undefined
  const app = appWith(t, {
    ...tenants(['b']),
    a: {
      plugin: async scope => {
        scope.get('/', async (_request, reply) => {
          raw = reply.raw
          return 'a'
        })
        scope.get('/slow', async () => {
          await door.pass()
          return 'slow'
        })
      }
    }
  }, { maxActive: 1 })
  await send(app, 'a')
  const slow = send(app, 'a', '/slow')
  await door.reached
  raw?.emit('close')
  raw?.emit('close')
  t.match((await app.multitenant.stats()).tenants, [{ id: 'a', inFlight: 1 }], 'the other request still counts')
  t.same(refusal(await send(app, 'b')), [503, 'FST_TENANT_OVERLOADED'])
  door.open()
  t.equal((await slow).body, 'slow')
  t.equal((await send(app, 'b')).body, 'b')
})

t.test('negative control: a count that is not per response is wrong when a response closes twice', async t => {
  let inFlight = 2
  const release = (): void => { inFlight-- }
  release()
  release()
  t.equal(inFlight, 0, 'although one of the two still runs')
})
