import { once } from 'node:events'
import { mock } from 'node:test'
import websocket from '@fastify/websocket'
import Fastify from 'fastify'
import fp from 'fastify-plugin'
import t from 'tap'
import { WebSocket } from 'ws'
import multitenant from '../../index.ts'
import { answers, appWith, call, Door, fakeTime, latch, listen, LogLines, MemorySource, send, turn } from '../fixtures/lifecycle/app.ts'
import { withDatabase } from '../fixtures/lifecycle/database.ts'
import type { Plugin } from '../fixtures/lifecycle/app.ts'

t.test('app.close() waits for requests of tenants, and closes tenants before plugins registered earlier', async t => {
  const door = new Door()
  const events: string[] = []
  const app = Fastify()
  app.register(fp(async app => {
    app.addHook('onClose', async () => { events.push("the app's database closed") })
  }))
  app.register(multitenant, { tenants: { acme: { plugin: withDatabase(door, events) } } })
  app.register(fp(async app => {
    app.addHook('onClose', async () => { events.push('what was registered after closed') })
  }))
  const address = await listen(app)
  const response = call(`${address}/stream`, 'acme').then(response => response.text())
  await door.reached
  const closed = app.close()
  await turn()
  t.same(events, [])
  door.open()
  t.match(await response, 'begun, database open')
  await closed
  t.same(events, ['onResponse, database open', 'what was registered after closed', 'database closed', "the app's database closed"])
})

t.test('app.close() waits for jobs of tenants, and starts no more', async t => {
  const door = new Door()
  const app = appWith(t, { acme: answers('acme'), globex: answers('globex') })
  await app.ready()
  const job = app.multitenant.run('acme', async tenant => {
    await door.pass()
    return tenant.state
  })
  await door.reached
  const closed = app.close()
  await turn()
  for (const id of ['acme', 'globex']) {
    await t.rejects(app.multitenant.run(id, () => 'ran'), { code: 'FST_TENANT_CLOSED', statusCode: 503 })
    await t.rejects(app.multitenant.init(id), { code: 'FST_TENANT_CLOSED' })
    await t.rejects(app.multitenant.reload(id), { code: 'FST_TENANT_CLOSED' })
  }
  door.open()
  t.equal(await job, 'draining')
  await closed
})

t.test('app.close() ends running loads', async t => {
  const door = new Door()
  let closed = false
  const app = appWith(t, {
    acme: {
      plugin: async scope => {
        scope.addHook('onClose', async () => { closed = true })
        await door.pass()
      }
    }
  })
  await app.ready()
  const loaded = app.multitenant.init('acme')
  loaded.catch(() => {})
  await door.reached
  const closing = app.close()
  await turn()
  door.open()
  await closing
  t.equal(closed, true)
  await t.rejects(loaded, { code: 'FST_TENANT_CLOSED' })
})

t.test('app.close() closes the source last', async t => {
  const events: string[] = []
  const source = Object.assign(new MemorySource({
    acme: { plugin: async scope => { scope.addHook('onClose', async () => { events.push('tenant') }) } }
  }), { close: async () => { events.push('source') } })
  const app = appWith(t, source)
  await app.ready()
  await app.multitenant.init('acme')
  await app.close()
  t.same(events, ['tenant', 'source'])
})

t.test('an onReady hook of the app may init, reload and run tenants', async t => {
  const app = appWith(t, { acme: answers('acme') })
  const seen: unknown[] = []
  app.addHook('onReady', async () => {
    seen.push((await app.multitenant.init('acme')).generation)
    seen.push((await app.multitenant.reload('acme')).generation)
    seen.push(await app.multitenant.run('acme', tenant => tenant.id))
  })
  await app.ready()
  t.strictSame(seen, [1, 2, 'acme'])
})

t.test('an app whose onReady hook fails loads no tenants', async t => {
  const app = appWith(t, { acme: answers('acme') })
  app.addHook('onReady', async () => { throw new Error('not ready') })
  await t.rejects(async () => app.ready(), { message: 'not ready' })
  await t.rejects(app.multitenant.init('acme'), { message: 'not ready' })
})

t.test('an error that cannot be logged fails only its own load', async t => {
  const log = new LogLines()
  const hostile = Object.defineProperty(new Error('hidden'), 'stack', { get: () => { throw new Error('no stack') } })
  const app = appWith(t, { acme: { plugin: async () => { throw hostile } }, globex: answers('globex') }, {}, log.server)
  t.equal((await send(app, 'acme')).statusCode, 503)
  t.match(log.of('tenant failed to load'), [{ tenantId: 'acme', err: { message: 'The error itself could not be logged' } }])
  t.equal((await send(app, 'globex')).body, 'globex')
})

t.test('a tenant whose onClose hook throws is closed, and the error is logged', async t => {
  const log = new LogLines()
  let loads = 0
  const plugin: Plugin = async scope => {
    loads++
    scope.addHook('onClose', async () => { throw new Error('cannot close') })
    scope.get('/', async () => 'acme')
  }
  const app = appWith(t, { acme: { plugin }, globex: answers('globex') }, {}, log.server)
  await app.ready()
  await app.multitenant.init('acme')
  await app.multitenant.init('globex')
  t.match(await app.multitenant.unload('acme'), { drained: true })
  t.match(log.of('tenant failed to close'), [{ tenantId: 'acme', err: { message: 'cannot close' } }])
  t.equal((await send(app, 'acme')).body, 'acme')
  t.equal(loads, 2)
  const { drain } = await app.multitenant.reload('acme')
  t.match(await drain, { drained: true })
  await t.resolves(app.close())
  t.equal(log.of('tenant failed to close').length, 3)
})

t.test('a tenant whose onClose hook never ends is given up after a time limit', async t => {
  fakeTime(t)
  const log = new LogLines()
  const closing = latch()
  const app = appWith(t, {
    acme: {
      plugin: async scope => {
        scope.addHook('onClose', () => {
          closing.resolve()
          return new Promise(() => {})
        })
      }
    }
  }, { loadTimeout: 1_000 }, log.server)
  await app.ready()
  await app.multitenant.init('acme')
  const unloaded = app.multitenant.unload('acme')
  await closing.promise
  mock.timers.tick(1_000)
  t.match(await unloaded, { drained: true })
  t.match(log.of('tenant failed to close'), [{ tenantId: 'acme' }])
  await t.resolves(app.close())
})

t.test('a timer left by a closed tenant finds the tenant as it is now', async t => {
  const left = latch<() => Promise<string>>()
  const app = appWith(t, {
    acme: {
      plugin: async () => {
        const { promise, resolve } = latch()
        left.resolve(async () => {
          resolve()
          return later
        })
        const later = promise.then(() => app.multitenant.run('acme', tenant => `ran in generation ${tenant.generation}`))
      }
    }
  })
  await app.ready()
  await app.multitenant.init('acme')
  await app.multitenant.unload('acme')
  const work = await left.promise
  t.equal(await work(), 'ran in generation 1')
})

for (const [where, own] of [["the app's @fastify/websocket", false], ["the tenant's own @fastify/websocket", true]] as const) {
  t.test(`the websockets of a suspended tenant are closed, with ${where}`, async t => {
    const connected = latch()
    const app = Fastify()
    t.teardown(() => app.close())
    if (!own) app.register(websocket)
    app.register(multitenant, {
      drainTimeout: own ? 30_000 : 20,
      tenants: {
        acme: {
          plugin: async scope => {
            if (own) await scope.register(websocket)
            scope.get('/socket', { websocket: true }, socket => {
              socket.on('error', () => {})
              connected.resolve()
            })
          }
        }
      }
    })
    const address = await listen(app)
    await app.multitenant.init('acme')
    const client = new WebSocket(`${address.replace('http', 'ws')}/socket`, { headers: { 'x-tenant-id': 'acme' } })
    t.teardown(() => client.terminate())
    client.on('error', () => {})
    await connected.promise
    t.match((await app.multitenant.stats()).tenants, [{ id: 'acme', inFlight: 1 }], 'an open websocket keeps its tenant loaded')
    const closed = once(client, 'close')
    // The tenant's own plugin closes its sockets when the drain begins; those of the app's plugin have to be cut.
    t.match(await app.multitenant.suspend('acme'), own ? { drained: true, forced: [] } : { drained: false, forced: [{ method: 'GET', url: '/socket' }] })
    await closed

    const late = new WebSocket(`${address.replace('http', 'ws')}/socket`, { headers: { 'x-tenant-id': 'acme' } })
    late.on('error', () => {})
    const [, response] = await once(late, 'unexpected-response')
    t.equal(response.statusCode, 403)
    late.terminate()
  })
}

t.test('a source that returns undefined knows no such tenant', async t => {
  const source = { get: () => undefined as never, async * list () {} }
  const app = Fastify()
  t.teardown(() => app.close())
  app.register(multitenant, { tenants: source })
  await app.ready()
  await t.rejects(app.multitenant.init('acme'), { code: 'FST_TENANT_NOT_FOUND' })
})

t.test('an unload during a reload closes both generations', async t => {
  const entered = latch()
  const goOn = latch()
  const closed: number[] = []
  let builds = 0
  const app = Fastify()
  t.teardown(() => app.close())
  app.register(multitenant, {
    tenants: {
      acme: {
        plugin: async scope => {
          const build = ++builds
          scope.addHook('onClose', async () => { closed.push(build) })
          if (build === 1) return
          entered.resolve()
          await goOn.promise
        }
      }
    }
  })
  await app.ready()
  await app.multitenant.init('acme')
  const reloaded = app.multitenant.reload('acme')
  await entered.promise
  const unloaded = app.multitenant.unload('acme')
  goOn.resolve()
  await reloaded
  t.match(await unloaded, { generation: 2, drained: true })
  t.same(closed.sort(), [1, 2])
  t.equal(app.multitenant.get('acme'), null)
})

t.test('an unload during a failing load closes nothing', async t => {
  const entered = latch()
  const goOn = latch()
  const app = Fastify()
  t.teardown(() => app.close())
  app.register(multitenant, {
    tenants: {
      acme: {
        plugin: async () => {
          entered.resolve()
          await goOn.promise
          throw new Error('cannot start')
        }
      }
    }
  })
  await app.ready()
  const loaded = t.rejects(app.multitenant.init('acme'), { code: 'FST_TENANT_LOAD_FAILED' })
  await entered.promise
  const unloaded = app.multitenant.unload('acme')
  goOn.resolve()
  await loaded
  t.equal(await unloaded, null)
})
