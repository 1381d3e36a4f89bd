import { PassThrough } from 'node:stream'
import { setInterval } from 'node:timers'
import t from 'tap'
import { alive, appWith, call, Door, Events, latch, listen, LogLines, MemorySource, refusal, send, turn, until } from './fixtures/lifecycle/app.ts'
import { ignoreLeases } from './fixtures/lifecycle/ignore-leases.ts'
import type { FastifyInstance } from 'fastify'
import type { InlineTenant, TenantConfig } from '../index.ts'
import type { Teardown } from './fixtures/lifecycle/app.ts'

/** A tenant that records the config that each of its loads read. */
class Counted {
  loads = 0
  running = 0
  most = 0
  config: Record<string, unknown> = { plan: 'free' }
  before: (() => Promise<void>) | undefined
  readonly definition: InlineTenant = {
    config: () => ({ ...this.config }) as TenantConfig,
    plugin: async (scope, { config }) => {
      const load = ++this.loads
      this.most = Math.max(this.most, ++this.running)
      try {
        await this.before?.()
      } finally {
        this.running--
      }
      scope.get('/', async () => ({ load, ...config }))
      scope.get('/pair', async request => `${load} ${request.tenant?.generation}`)
    }
  }
}

t.test('a reload builds the new generation while the old one serves', async t => {
  const acme = new Counted()
  const events = new Events(t)
  const app = appWith(t, { acme: acme.definition })
  await app.ready()
  t.same((await send(app, 'acme')).json(), { load: 1, plan: 'free' })
  const door = new Door()
  acme.before = () => door.pass()
  acme.config = { plan: 'gold' }
  const reloaded = app.multitenant.reload('acme')
  await door.reached
  t.same((await send(app, 'acme')).json(), { load: 1, plan: 'free' })
  door.open()
  const { generation, drain } = await reloaded
  t.equal(generation, 2)
  t.same((await send(app, 'acme')).json(), { load: 2, plan: 'gold' })
  t.same(await drain, { generation: 1, drained: true, forced: [] })
  t.same(events.names, ['load acme 1', 'reload acme 2', 'drain acme 1'])
})

t.test('a reload of a tenant that is not loaded loads it', async t => {
  const acme = new Counted()
  const app = appWith(t, { acme: acme.definition })
  await app.ready()
  const { generation, drain } = await app.multitenant.reload('acme')
  t.equal(generation, 1)
  t.equal(await drain, null)
  t.same((await send(app, 'acme')).json(), { load: 1, plan: 'free' })
})

t.test('a reload of an unknown tenant fails, and leaves nothing behind', async t => {
  const app = appWith(t, {})
  await app.ready()
  await t.rejects(app.multitenant.reload('nobody'), { code: 'FST_TENANT_NOT_FOUND' })
  t.match(await app.multitenant.stats(), { active: 0, loading: 0, tenants: [] })
})

t.test('one generation answers each request, however often its tenant is reloaded meanwhile', async t => {
  const acme = new Counted()
  const app = appWith(t, { acme: acme.definition })
  await app.ready()
  await app.multitenant.init('acme')
  const responses: Array<Promise<{ statusCode: number, body: string }>> = []
  for (let reload = 0; reload < 30; reload++) {
    const reloaded = app.multitenant.reload('acme')
    for (let request = 0; request < 10; request++) responses.push(send(app, 'acme', '/pair'))
    await reloaded
  }
  for (const { statusCode, body } of await Promise.all(responses)) {
    const [load, generation] = body.split(' ')
    if (statusCode !== 200 || load !== generation) t.fail(`${statusCode} ${body}`)
  }
  t.equal(responses.length, 300)
})

/** A resource of the old generation, which is closed during a request or after it. */
async function swapUnderARequest (t: Teardown, swap: (app: FastifyInstance) => Promise<unknown>): Promise<string> {
  const door = new Door()
  let load = 0
  const app = appWith(t, {
    acme: {
      plugin: async scope => {
        const db = { name: `database ${++load}`, open: true }
        scope.addHook('onClose', async () => { db.open = false })
        scope.get('/stream', async (_request, reply) => {
          const stream = new PassThrough()
          stream.write('begun, ')
          door.pass().then(() => stream.end(`${db.name} ${db.open ? 'open' : 'closed'}`))
          return reply.send(stream)
        })
      }
    }
  })
  const address = await listen(app)
  const response = await call(`${address}/stream`, 'acme')
  await door.reached
  await swap(app)
  await turn()
  door.open()
  return response.text()
}

t.test('a stream of the old generation continues to its end with its open resources', async t => {
  t.equal(await swapUnderARequest(t, app => app.multitenant.reload('acme')), 'begun, database 1 open')
})

t.test('negative control: a swap that ignores leases closes the database during the stream', async t => {
  ignoreLeases(t)
  t.equal(await swapUnderARequest(t, async app => {
    const { drain } = await app.multitenant.reload('acme')
    await drain
  }), 'begun, database 1 closed')
})

t.test('a request may reload its own tenant, and the old generation answers it', async t => {
  const acme = new Counted()
  const drained = latch<unknown>()
  const app = appWith(t, {
    acme: {
      plugin: async (scope, options) => {
        await acme.definition.plugin!(scope, options, () => {})
        scope.get('/reload', async request => {
          const { generation, drain } = await app.multitenant.reload('acme')
          drain.then(drained.resolve)
          return `from ${request.tenant?.generation} to ${generation}`
        })
      }
    }
  })
  const address = await listen(app)
  t.equal(await call(`${address}/reload`, 'acme').then(response => response.text()), 'from 1 to 2')
  t.same(await drained.promise, { generation: 1, drained: true, forced: [] })
  t.match((await send(app, 'acme')).json(), { load: 2 })
})

t.test('a request that unloads its own tenant without waiting for it is answered', async t => {
  const ended = latch<unknown>()
  const app = appWith(t, {
    acme: {
      plugin: async scope => {
        scope.get('/', async () => {
          app.multitenant.unload('acme').then(ended.resolve)
          return 'bye'
        })
      }
    }
  })
  const address = await listen(app)
  t.equal(await call(address, 'acme').then(response => response.text()), 'bye')
  t.match(await ended.promise, { drained: true })
})

t.test('a hundred concurrent reloads run at most twice, and the last config wins', async t => {
  const acme = new Counted()
  const app = appWith(t, { acme: acme.definition })
  await app.ready()
  await app.multitenant.init('acme')
  const door = new Door()
  acme.before = () => door.pass()
  const reloads = []
  for (let index = 0; index < 100; index++) {
    acme.config = { plan: `plan ${index}` }
    reloads.push(app.multitenant.reload('acme'))
    if (index === 0) await door.reached
  }
  const traffic = Array.from({ length: 100 }, () => send(app, 'acme'))
  t.same([...new Set((await Promise.all(traffic)).map(({ body }) => body))], ['{"load":1,"plan":"free"}'])
  door.open()
  const generations = (await Promise.all(reloads)).map(({ generation }) => generation)
  t.equal(acme.loads, 3, 'the first load and two reloads')
  t.equal(acme.most, 1, 'never two at a time')
  t.same([...new Set(generations)], [2, 3])
  t.same((await send(app, 'acme')).json(), { load: 3, plan: 'plan 99' })
  t.match(await app.multitenant.stats(), { loads: 1, reloads: 2 })
})

t.test('negative control: without collection every reload runs', async t => {
  const acme = new Counted()
  const app = appWith(t, { acme: acme.definition })
  await app.ready()
  await app.multitenant.init('acme')
  for (let reload = 0; reload < 10; reload++) await app.multitenant.reload('acme')
  t.equal(acme.loads, 11)
})

t.test('an invalid config leaves the old generation serving, and the reload rejects with the reason', async t => {
  const acme = new Counted()
  const events = new Events(t)
  const log = new LogLines()
  const app = appWith(t, { acme: acme.definition }, {
    configSchema: { type: 'object', required: ['plan'], properties: { plan: { type: 'string', enum: ['free', 'gold'] } } }
  }, log.server)
  await app.ready()
  await app.multitenant.init('acme')
  acme.config = { plan: 'wood' }
  await t.rejects(app.multitenant.reload('acme'), {
    code: 'FST_TENANT_LOAD_FAILED', message: "Tenant 'acme' could not be loaded again; generation 1 keeps serving", cause: { code: 'FST_TENANT_CONFIG_INVALID' }
  })
  t.same((await send(app, 'acme')).json(), { load: 1, plan: 'free' })
  t.match(events.of('fail'), [{ id: 'acme', generation: 2, error: { code: 'FST_TENANT_LOAD_FAILED' } }])
  t.match(log.of('tenant failed to reload: the old generation keeps serving'), [{ tenantId: 'acme' }])
  t.match(await app.multitenant.stats(), { active: 1, reloads: 1 })

  acme.config = { plan: 'gold' }
  await app.multitenant.reload('acme')
  t.match((await send(app, 'acme')).json(), { plan: 'gold' }, 'the next attempt needs no pause')
})

t.test('stats() has the error of a failed reload of a tenant that still serves', async t => {
  const acme = new Counted()
  const app = appWith(t, { acme: acme.definition })
  await app.ready()
  await app.multitenant.init('acme')
  acme.before = () => Promise.reject(new Error('broken'))
  await t.rejects(app.multitenant.reload('acme'))
  t.match((await app.multitenant.stats()).tenants, [{ id: 'acme', state: 'active', generation: 1, lastError: 'broken' }])
  acme.before = undefined
  await app.multitenant.reload('acme')
  t.match((await app.multitenant.stats()).tenants, [{ state: 'active', lastError: null }])
})

t.test('a failed reload closes what the new generation has opened, and nothing else', async t => {
  const closed: number[] = []
  let load = 0
  const app = appWith(t, {
    acme: {
      plugin: async scope => {
        const mine = ++load
        scope.addHook('onClose', async () => { closed.push(mine) })
        scope.get('/', async () => String(mine))
        if (mine === 2) throw new Error('broken')
      }
    }
  })
  await app.ready()
  await app.multitenant.init('acme')
  await t.rejects(app.multitenant.reload('acme'))
  t.same(closed, [2])
  t.equal((await send(app, 'acme')).body, '1')
})

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
