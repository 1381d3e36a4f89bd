import { PassThrough } from 'node:stream'
import t from 'tap'
import { appWith, call, Door, Events, latch, listen, LogLines, send, turn } from '../fixtures/lifecycle/app.ts'
import { ignoreLeases } from '../fixtures/lifecycle/ignore-leases.ts'
import { Counted } from '../fixtures/lifecycle/counted.ts'
import type { FastifyInstance } from 'fastify'
import type { Teardown } from '../fixtures/lifecycle/app.ts'

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
