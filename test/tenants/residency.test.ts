import { mock } from 'node:test'
import t from 'tap'
import { appOf, send } from '../fixtures/templates/app.ts'
import { Door, Events, fakeTime, MemorySource, refusal, turn, until } from '../fixtures/lifecycle/app.ts'
import { loaded } from '../fixtures/lifecycle/cap.ts'
import type { FastifyInstance } from 'fastify'
import type { Teardown } from '../fixtures/lifecycle/app.ts'
import type { InlineTenant, MultitenantOptions } from '../../index.ts'

/** r1 to r4 have no code, two of them a template; s1 to s4 have code, two of them a template. */
function tenants (): Record<string, InlineTenant> {
  return Object.fromEntries([1, 2, 3, 4].flatMap(number => {
    const template = number > 2 ? { template: 'shop' } : {}
    return [[`r${number}`, template], [`s${number}`, { ...template, plugin: async (scope: FastifyInstance) => { scope.get('/own', async () => '') } }]]
  }))
}

function appFor (t: Teardown, options: MultitenantOptions, source: MultitenantOptions['tenants'] = tenants(), door?: Door): FastifyInstance {
  const app = appOf(t, { shop: {} }, source, options)
  app.get('/', async ({ tenantId }) => tenantId)
  app.get('/slow', async ({ tenantId }) => {
    await door?.pass()
    return tenantId
  })
  return app
}

t.test('maxActive counts tenants with code of their own, maxResident the others', async t => {
  const app = appFor(t, { maxActive: 2, maxResident: 3 })
  for (const id of ['r1', 's1', 'r2', 's2', 'r3']) await send(app, id)
  t.same(await loaded(app), ['r1', 'r2', 'r3', 's1', 's2'])
  t.match(await app.multitenant.stats(), { active: 5, resident: 3, evictions: 0 })
  await send(app, 's3')
  t.same(await loaded(app), ['r1', 'r2', 'r3', 's2', 's3'])
  await send(app, 'r4')
  t.same(await loaded(app), ['r2', 'r3', 'r4', 's2', 's3'])
  t.match(await app.multitenant.stats(), { active: 5, resident: 3, evictions: 2 })
})

t.test('the least recently used tenant of the kind goes first, in exact order', async t => {
  for (const kind of ['r', 's']) {
    const events = new Events(t)
    const app = appFor(t, kind === 'r' ? { maxResident: 3 } : { maxActive: 3 })
    for (const number of [1, 2, 3, 1, 3, 4, 2, 1, 3]) await send(app, `${kind}${number}`)
    t.same(events.of('evict').map(({ id }) => id), [2, 1, 3, 4].map(number => `${kind}${number}`))
    await app.close()
  }
})

t.test('a busy tenant is not evicted, and all busy means overloaded', async t => {
  const door = new Door()
  const app = appFor(t, { maxResident: 2 }, undefined, door)
  await app.ready()
  const slow = send(app, 'r1', '/slow')
  await door.reached
  for (const id of ['r2', 'r3', 'r4']) t.equal((await send(app, id)).body, id)
  t.same(await loaded(app), ['r1', 'r4'])
  const second = send(app, 'r4', '/slow')
  await until(() => door.passed === 2)
  t.same(refusal(await send(app, 'r2')), [503, 'FST_TENANT_OVERLOADED'])
  t.equal((await send(app, 's1')).body, 's1', 'the other kind has places of its own')
  door.open()
  await Promise.all([slow, second])
  t.equal((await send(app, 'r2')).body, 'r2')
})

t.test('a tenant that changes its kind by a reload counts in its new kind', async t => {
  const code = { plugin: async (scope: FastifyInstance) => { scope.get('/own', async () => '') } }
  const source = new MemorySource({ ...tenants(), x: {} })
  const app = appFor(t, { maxActive: 1, maxResident: 1 }, source)
  await send(app, 'x')
  t.match(await app.multitenant.stats(), { active: 1, resident: 1 })
  source.tenants.set('x', code)
  await app.multitenant.reload('x')
  t.match(await app.multitenant.stats(), { active: 1, resident: 0 })
  await send(app, 'r1')
  t.same(await loaded(app), ['r1', 'x'], 'its former place is free')
  await send(app, 's1')
  t.same(await loaded(app), ['r1', 's1'], 'it is evicted from its new place')
  await send(app, 'x')
  source.tenants.set('x', {})
  await app.multitenant.reload('x')
  t.same(await loaded(app), ['x'], 'it takes the place of r1')
  await send(app, 's1')
  t.same(await loaded(app), ['s1', 'x'])
})

t.test('a change of kind fails if there is no place, and the old generation keeps serving', async t => {
  const door = new Door()
  const source = new MemorySource({ s1: tenants()['s1'] as InlineTenant, x: {} })
  const app = appFor(t, { maxActive: 1 }, source, door)
  await send(app, 'x')
  const slow = send(app, 's1', '/slow')
  await door.reached
  source.tenants.set('x', { plugin: async () => {} })
  await t.rejects(app.multitenant.reload('x'), { code: 'FST_TENANT_OVERLOADED' })
  t.equal((await send(app, 'x')).body, 'x')
  door.open()
  await slow
  await app.multitenant.reload('x')
  t.match(await app.multitenant.stats(), { active: 1, resident: 0 })
})

t.test('a tenant that ends counts until it has ended', async t => {
  const door = new Door()
  const app = appFor(t, { maxResident: 1 }, undefined, door)
  await app.ready()
  const slow = send(app, 'r1', '/slow')
  await door.reached
  const unloading = app.multitenant.unload('r1')
  const next = send(app, 'r2')
  await turn()
  t.equal(app.multitenant.get('r2'), null, 'it waits')
  door.open()
  t.equal((await slow).body, 'r1')
  await unloading
  t.equal((await next).body, 'r2')
})

t.test('a failed load gives its place back', async t => {
  const app = appFor(t, { maxResident: 1 }, { ...tenants(), bad: { template: 'missing' }, worse: { config: () => { throw new Error('broken') } } })
  for (const id of ['bad', 'worse']) t.equal((await send(app, id)).statusCode, 503)
  t.equal((await send(app, 'r1')).body, 'r1')
  t.match(await app.multitenant.stats(), { active: 1, evictions: 0 })
})

t.test('idleTimeout unloads both kinds, and none that is busy or was used meanwhile', async t => {
  fakeTime(t)
  const door = new Door()
  const app = appFor(t, { idleTimeout: 1_000 }, undefined, door)
  await app.ready()
  for (const id of ['r1', 'r2', 's1', 's2']) await send(app, id)
  const slow = send(app, 'r3', '/slow')
  await door.reached
  mock.timers.tick(500)
  await send(app, 'r2')
  await send(app, 's2')
  mock.timers.tick(500)
  await turn()
  t.same(await loaded(app), ['r2', 'r3', 's2'])
  mock.timers.tick(500)
  await turn()
  t.same(await loaded(app), ['r3'])
  door.open()
  await slow
  mock.timers.tick(2_000)
  await turn()
  t.same(await loaded(app), [])
})
