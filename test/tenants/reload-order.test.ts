import { setInterval } from 'node:timers'
import t from 'tap'
import { alive, appWith, Door, Events, listen, MemorySource, refusal, send, turn, until } from '../fixtures/lifecycle/app.ts'
import { Counted } from '../fixtures/lifecycle/counted.ts'
import type { FastifyInstance } from 'fastify'

t.test('a reload during a load runs after it, with the newest config', async t => {
  const acme = new Counted()
  const app = appWith(t, { acme: acme.definition })
  await app.ready()
  const door = new Door()
  acme.before = () => door.pass()
  const first = send(app, 'acme')
  await door.reached
  acme.config = { plan: 'gold' }
  const reloaded = app.multitenant.reload('acme')
  door.open()
  t.same((await first).statusCode, 200)
  t.equal((await reloaded).generation, 2)
  t.same((await send(app, 'acme')).json(), { load: 2, plan: 'gold' })
  t.equal(acme.most, 1)
})

t.test('a reload that waits for a load that fails makes the only generation', async t => {
  for (const first of ['reload', 'init'] as const) {
    await t.test(first, async t => {
      const acme = new Counted()
      const events = new Events(t)
      const app = appWith(t, { acme: acme.definition })
      await app.ready()
      const door = new Door()
      acme.before = async () => {
        acme.before = undefined
        await door.pass()
        throw new Error('broken')
      }
      const failing: Promise<unknown> = app.multitenant[first]('acme')
      await door.reached
      const reloading = app.multitenant.reload('acme')
      await turn()
      door.open()
      await t.rejects(failing, { code: 'FST_TENANT_LOAD_FAILED' })
      t.match(await reloading, { generation: 2 })
      t.equal(app.multitenant.get('acme')?.generation, 2)
      t.equal((await send(app, 'acme', '/pair')).body, '2 2')
      t.match(await app.multitenant.unload('acme'), { generation: 2, drained: true })
      t.same(events.names, ['fail acme 1', 'load acme 2', 'drain acme 2'])
    })
  }
})

t.test('a reload of a tenant that is unloaded meanwhile leaves nothing loaded', async t => {
  const acme = new Counted()
  const events = new Events(t)
  const app = appWith(t, { acme: acme.definition })
  await app.ready()
  await app.multitenant.init('acme')
  const door = new Door()
  acme.before = () => door.pass()
  const reloaded = app.multitenant.reload('acme')
  await door.reached
  const unloaded = app.multitenant.unload('acme')
  door.open()
  t.equal((await reloaded).generation, 2)
  t.match(await unloaded, { generation: 2, drained: true })
  t.equal(app.multitenant.get('acme'), null)
  t.match(await app.multitenant.stats(), { active: 0, loading: 0, draining: 0, tenants: [] })
  t.same(events.of('drain').map(({ generation }) => generation).sort(), [1, 2])
})

t.test('a request that waits for a load with a queued reload is answered', async t => {
  const acme = new Counted()
  const app = appWith(t, { acme: acme.definition })
  await app.ready()
  const door = new Door()
  acme.before = () => door.pass()
  const responses = Array.from({ length: 20 }, () => send(app, 'acme', '/pair'))
  await door.reached
  const reloads = Array.from({ length: 5 }, () => app.multitenant.reload('acme'))
  door.open()
  for (const { statusCode, body } of await Promise.all(responses)) {
    const [load, generation] = body.split(' ')
    t.same([statusCode, load], [200, generation])
  }
  await Promise.all(reloads)
  t.equal(acme.loads, 2)
})

t.test('a tenant that was removed from the source is served until a reload, and unknown then', async t => {
  const source = new MemorySource({ acme: new Counted().definition })
  const app = appWith(t, source)
  await app.ready()
  await app.multitenant.init('acme')
  source.tenants.delete('acme')
  t.equal((await send(app, 'acme')).statusCode, 200)
  await t.rejects(app.multitenant.reload('acme'), { code: 'FST_TENANT_NOT_FOUND' })
  t.same(refusal(await send(app, 'acme')), [404, 'FST_TENANT_NOT_FOUND'])
})

t.test('a tenant that hangs is not reloaded with another', async t => {
  const [acme, globex] = [new Counted(), new Counted()]
  const app = appWith(t, { acme: acme.definition, globex: globex.definition })
  await app.ready()
  await app.multitenant.init('acme')
  await app.multitenant.init('globex')
  await app.multitenant.reload('acme')
  t.same([acme.loads, globex.loads], [2, 1])
})

/** Reloads a tenant, and returns how many of its old generations are still in memory. */
async function leaked (app: FastifyInstance, id: string, reloads: number): Promise<number> {
  const refs: Array<WeakRef<object>> = []
  await app.ready()
  for (let reload = 0; reload < reloads; reload++) {
    const tenant = await app.multitenant.init(id)
    refs.push(new WeakRef(tenant), new WeakRef(tenant.app))
    await send(app, id)
    const { drain } = await app.multitenant.reload(id)
    await drain
  }
  return alive(refs)
}

t.test('old generations of a tenant in code are collected', async t => {
  const app = appWith(t, { acme: new Counted().definition })
  t.equal(await leaked(app, 'acme', 200), 0)
})

t.test('old generations of a tenant from a folder are collected', async t => {
  const dir = t.testdir({
    'leaking-acme': {
      'config.json': '{ "plan": "free" }',
      plugins: { 'store.mjs': 'export default async app => { app.decorate("store", new Map()) }' },
      services: { 'Users.cjs': 'module.exports = class Users { constructor (db, config) { this.config = config } }' },
      routes: { 'index.mjs': 'export default async app => { app.get("/", async request => String(request.tenant.getService("Users").config.plan + app.store.size)) }' }
    }
  })
  const app = appWith(t, dir)
  t.equal((await send(app, 'leaking-acme')).body, 'free0')
  t.equal(await leaked(app, 'leaking-acme', 200), 0)
})

t.test('evicted and failed generations are collected', async t => {
  const refs: Array<WeakRef<object>> = []
  const app = appWith(t, {
    acme: { plugin: async scope => { refs.push(new WeakRef(scope)) } },
    globex: {},
    broken: {
      plugin: async scope => {
        refs.push(new WeakRef(scope))
        throw new Error('broken')
      }
    }
  }, { maxActive: 1 })
  await app.ready()
  for (let round = 0; round < 20; round++) {
    await app.multitenant.init('acme')
    await app.multitenant.init('globex')
    await app.multitenant.init('broken').catch(() => {})
  }
  t.equal(refs.length, 40)
  const kept = await alive(refs)
  // The last error is remembered, and may refer to its scope.
  t.ok(kept <= 1, `${kept} of 40`)
})

t.test('negative control: a timer that is not cleared keeps its generations', async t => {
  const timers: NodeJS.Timeout[] = []
  t.teardown(() => timers.forEach(clearInterval))
  const app = appWith(t, {
    acme: {
      plugin: async scope => {
        timers.push(setInterval(() => scope.log.info('tick'), 1_000_000))
        scope.get('/', async () => 'acme')
      }
    }
  })
  const kept = await leaked(app, 'acme', 10)
  t.ok(kept >= 10, `${kept} of 20`)
})

t.test('reloads of a tenant add no listeners to the server', async t => {
  const app = appWith(t, { acme: new Counted().definition })
  await listen(app)
  await app.multitenant.init('acme')
  const before = app.server.eventNames().map(name => [name, app.server.listenerCount(name)])
  for (let reload = 0; reload < 20; reload++) await app.multitenant.reload('acme')
  await until(async () => (await app.multitenant.stats()).draining === 0)
  t.same(app.server.eventNames().map(name => [name, app.server.listenerCount(name)]), before)
})
