import { PassThrough } from 'node:stream'
import { mock } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import Fastify from 'fastify'
import t from 'tap'
import { Database, abort, inFlight, setUp, startHttp2 } from '../fixtures/lifecycle/aborted.ts'
import type { FastifyInstance } from 'fastify'
import multitenant from '../../index.ts'
import { fakeTime, listen, turn, until } from '../fixtures/lifecycle/app.ts'

/** What a request may be doing when its client leaves. */
const handlers: Record<string, (scope: FastifyInstance, db: Database) => void> = {
  'a handler that answers with what it gets': (scope, db) => { scope.get('/', async () => db.query()) },
  'a handler that comes to nothing': (scope, db) => { scope.get('/', async () => { await db.query() }) },
  'a handler that fails': (scope, db) => { scope.get('/', async () => { throw new Error(await db.query()) }) },
  'a handler that sends, and goes on': (scope, db) => {
    scope.get('/', async (_request, reply) => {
      reply.raw.write('begun')
      await db.query()
    })
  },
  'a handler that calls back': (scope, db) => { scope.get('/', (_request, reply) => { db.query().then(row => reply.send(row)) }) },
  'a handler that returns the reply': (scope, db) => {
    scope.get('/', async (_request, reply) => {
      db.query().then(row => reply.send(row))
      return reply
    })
  },
  'a handler that has hijacked the reply': (scope, db) => {
    scope.get('/', async (_request, reply) => {
      reply.hijack()
      await db.query()
    })
  },
  'a handler that answers with a stream': (scope, db) => {
    scope.get('/', async () => {
      await db.query()
      return new PassThrough()
    })
  },
  'a hook before the handler': (scope, db) => {
    scope.addHook('preHandler', async () => { await setImmediate() })
    scope.addHook('onRequest', async () => { await db.query() })
    scope.get('/', async () => db.query())
  },
  'a hook that answers': (scope, db) => {
    scope.addHook('onRequest', async (_request, reply) => reply.send(await db.query()))
    scope.get('/', async () => 'never')
  },
  'an onSend hook': (scope, db) => {
    scope.addHook('onSend', async () => { await db.query() })
    scope.get('/', async () => 'sent')
  },
  'an onResponse hook after the handler': (scope, db) => {
    scope.addHook('onResponse', async () => {
      await setImmediate()
      await db.query()
    })
    scope.get('/', async () => db.query())
  },
  'a 404 handler of the tenant': (scope, db) => {
    scope.setNotFoundHandler(async () => db.query())
    scope.get('/', (_request, reply) => { reply.callNotFound() })
  }
}

const ends: Record<string, (app: FastifyInstance) => unknown> = {
  unload: app => app.multitenant.unload('acme'),
  reload: async app => (await app.multitenant.reload('acme')).drain,
  suspend: app => app.multitenant.suspend('acme')
}

for (const [name, fill] of Object.entries(handlers)) {
  for (const [end, run] of Object.entries(ends)) {
    t.test(`${end} waits for ${name} whose client has left`, async t => {
      const { app, db, abort } = await setUp(t, fill)
      await abort()
      const ended = run(app)
      await turn()
      t.same(db.events, [], 'it is still at its query')
      db.door.open()
      t.match(await ended, { drained: true })
      t.equal(db.events.pop(), 'closed')
      t.ok(db.events.length > 0)
      t.ok(db.events.every(event => event === 'query of an open database'))
    })
  }
}

t.test('a tenant is not evicted while a handler runs whose client has left', async t => {
  const { app, db, abort } = await setUp(t, handlers['a handler that answers with what it gets']!, { maxActive: 1 })
  await abort()
  await t.rejects(app.multitenant.init('globex'), { code: 'FST_TENANT_OVERLOADED' })
  db.door.open()
  await until(async () => await inFlight(app) === 0)
  await app.multitenant.init('globex')
  await until(() => db.events.includes('closed'))
  t.same(db.events, ['query of an open database', 'closed'])
})

t.test('negative control: an app that ends its database when the response has closed ends it under the handler', async t => {
  const db = new Database()
  const app = Fastify()
  t.teardown(() => app.close())
  app.get('/', async (_request, reply) => {
    reply.raw.once('close', () => db.close())
    return db.query()
  })
  await abort(app, await listen(app), db.door.reached)
  db.door.open()
  await until(() => db.events.length === 2)
  t.same(db.events, ['closed', 'query of a closed database'])
})

t.test('a handler that never ends is waited for until drainTimeout, and reported', async t => {
  const { app, db, abort } = await setUp(t, handlers['a handler that answers with what it gets']!, { drainTimeout: 20 })
  await abort()
  t.match(await app.multitenant.unload('acme'), { drained: false, forced: [{ method: 'GET', url: '/' }] })
  t.same(db.events, ['closed'])
  db.door.open()
})

t.test('a handler that never ends holds a tenant that stays loaded for drainTimeout after the client left', async t => {
  const { app, db, abort } = await setUp(t, handlers['a handler that answers with what it gets']!, { drainTimeout: 60_000 })
  fakeTime(t)
  await abort()
  t.equal(await inFlight(app), 1)
  mock.timers.tick(59_999)
  t.equal(await inFlight(app), 1)
  mock.timers.tick(1)
  t.equal(await inFlight(app), 0)
  db.door.open()
  await turn()
  t.equal(await inFlight(app), 0)
})

t.test('a thenable query runs once, even after its client has left', async t => {
  let runs = 0
  const { app, db, abort } = await setUp(t, (scope, db) => {
    scope.get('/', () => ({
      then (resolve: (row: string) => void) {
        runs++
        db.query().then(resolve)
      }
    }))
  })
  await abort()
  db.door.open()
  await until(async () => await inFlight(app) === 0)
  t.equal(runs, 1)
})

t.test("an unload waits for the app's answer to a request of a tenant, after the client has left", async t => {
  const db = new Database()
  const app = Fastify()
  t.teardown(() => app.close())
  app.register(multitenant, { tenants: { acme: { plugin: async scope => { scope.addHook('onClose', async () => db.close()) } } } })
  app.register(async () => { app.get('/', async () => db.query()) })
  const address = await listen(app)
  await app.multitenant.init('acme')
  await abort(app, address, db.door.reached)
  const unloaded = app.multitenant.unload('acme')
  await turn()
  t.same(db.events, [])
  db.door.open()
  await unloaded
  t.same(db.events, ['query of an open database', 'closed'])
})

t.test('an unload waits over HTTP/2 too, with a payload of more than one chunk', async t => {
  const { app, db } = await setUp(t, (scope, db) => {
    scope.addHook('onResponse', async () => {})
    scope.get('/', async () => (await db.query()).repeat(100_000))
  }, {}, { http2: true } as never)
  const leave = startHttp2(t, app)
  await db.door.reached
  await leave()
  const unloaded = app.multitenant.unload('acme')
  await turn()
  t.same(db.events, [])
  db.door.open()
  t.match(await unloaded, { drained: true })
  t.same(db.events, ['query of an open database', 'closed'])
})
