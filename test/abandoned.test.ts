import { once } from 'node:events'
import { request as send } from 'node:http'
import { connect as connectHttp2, constants } from 'node:http2'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { PassThrough, Readable, Stream } from 'node:stream'
import { mock } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import websocket from '@fastify/websocket'
import Fastify from 'fastify'
import t from 'tap'
import { WebSocket } from 'ws'
import type { FastifyInstance, FastifyReply, FastifyServerOptions } from 'fastify'
import type { Test } from 'tap'
import multitenant from '../index.ts'
import { appWith, Door, fakeTime, latch, listen, turn, until } from './fixtures/lifecycle/app.ts'
import type { MultitenantOptions } from '../index.ts'
import type { Plugin } from './fixtures/lifecycle/app.ts'

/** A database whose queries wait until the test lets them go on. */
class Database {
  readonly door = new Door()
  /** The ends of the queries and of the database, in order. */
  readonly events: string[] = []
  open = true

  async query (): Promise<string> {
    await this.door.pass()
    this.events.push(`query of ${this.open ? 'an open' : 'a closed'} database`)
    return 'a row'
  }

  close (): void {
    this.open = false
    this.events.push('closed')
  }
}

/** An old-style stream: it can be piped, but it has no destroy(). */
class OldStream extends Stream {
  override pipe<T extends NodeJS.WritableStream> (target: T): T {
    super.pipe(target)
    this.emit('data', 'a row')
    this.emit('end')
    return target
  }
}

interface Setting {
  app: FastifyInstance
  db: Database
  /** Sends a request, and leaves when the handler is at its query. */
  abort (url?: string): Promise<void>
}

/** A tenant with a database, and a second one that may take its place. */
async function setUp (t: Test, fill: (scope: FastifyInstance, db: Database) => void, options: MultitenantOptions = {}, server?: FastifyServerOptions): Promise<Setting> {
  const db = new Database()
  let generations = 0
  const plugin: Plugin = async scope => {
    if (++generations > 1) return
    scope.addHook('onClose', async () => db.close())
    fill(scope, db)
  }
  const app = appWith(t, { acme: { plugin }, globex: { plugin: async () => {} } }, options, server)
  const address = await listen(app)
  await app.multitenant.init('acme')
  return { app, db, abort: async (url = '/') => abort(app, address + url, db.door.reached) }
}

/** A frame in the format of HTTP/2. */
function frame (type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head.writeUInt8(type, 3)
  head.writeUInt8(flags, 4)
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

/** The setting with which the client accepts no byte of any body. */
const TAKE_NOTHING = frame(4, 0, 0, Buffer.from([0, 4, 0, 0, 0, 0]))
/** `GET /` of acme, in one frame. */
const GET = frame(1, 5, 1, Buffer.concat([
  Buffer.from([0x82, 0x84, 0x86, 0x41, 1]), Buffer.from('a'),
  Buffer.from([0, 11]), Buffer.from('x-tenant-id'), Buffer.from([4]), Buffer.from('acme')
]))

/** Sends a request over HTTP/2. Returns a function that makes its client leave. */
function startHttp2 (t: Test, app: FastifyInstance): () => Promise<void> {
  const { port } = app.server.address() as { port: number }
  const session = connectHttp2(`http://127.0.0.1:${port}`)
  t.teardown(() => session.destroy())
  const closed = latch()
  app.server.once('stream', stream => { stream.once('close', closed.resolve) })
  const stream = session.request({ ':path': '/', 'x-tenant-id': 'acme' })
  return async () => {
    stream.close(constants.NGHTTP2_CANCEL)
    await closed.promise
  }
}

async function abort (app: FastifyInstance, url: string, reached: Promise<unknown>, headers: Record<string, string> = { 'x-tenant-id': 'acme' }): Promise<void> {
  const connection = once(app.server, 'connection') as Promise<[Socket]>
  const request = send(url, { agent: false, headers }).on('error', () => {})
  request.end()
  const [socket] = await connection
  await reached
  request.destroy()
  await closed(socket)
}

/** A reset is an error to `once()`. */
async function closed (socket: Socket): Promise<void> {
  socket.on('error', () => {})
  if (!socket.closed) await new Promise(resolve => socket.once('close', resolve))
}

async function inFlight (app: FastifyInstance): Promise<number | undefined> {
  const { tenants } = await app.multitenant.stats()
  return tenants.find(({ id }) => id === 'acme')?.inFlight
}

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

t.test('an unload waits for a pipelined request that has not been answered', async t => {
  const { app, db } = await setUp(t, (scope, db) => {
    scope.get('/first', (_request, reply) => { reply.raw.flushHeaders() })
    scope.get('/', async () => db.query())
  }, { drainTimeout: 60_000 })
  const { port } = app.server.address() as { port: number }
  const client = connect(port, '127.0.0.1')
  const [connection] = await once(app.server, 'connection') as [Socket]
  client.write('GET /first HTTP/1.1\r\nhost: a\r\nx-tenant-id: acme\r\n\r\nGET / HTTP/1.1\r\nhost: a\r\nx-tenant-id: acme\r\n\r\n')
  await db.door.reached
  client.destroy()
  await closed(connection)
  await turn()
  t.equal(await inFlight(app), 1, 'the first has begun to answer, and its handler has returned')
  db.door.open()
  await until(async () => await inFlight(app) === 0)
  t.same(db.events, ['query of an open database'])
})

for (const pipelined of [false, true]) {
  const where = pipelined ? 'in a pipeline' : 'alone'
  const leave = async (app: FastifyInstance, reached: Promise<unknown>): Promise<void> => {
    const { port } = app.server.address() as { port: number }
    const client = connect(port, '127.0.0.1')
    const [connection] = await once(app.server, 'connection') as [Socket]
    const urls = pipelined ? ['/first', '/'] : ['/']
    client.write(urls.map(url => `GET ${url} HTTP/1.1\r\nhost: a\r\nx-tenant-id: acme\r\n\r\n`).join(''))
    await reached
    client.destroy()
    await closed(connection)
  }
  const first = (scope: FastifyInstance): unknown => scope.get('/first', (_request, reply) => { reply.raw.flushHeaders() })
  async function * rows (db: Database): AsyncGenerator<string> {
    for (let row = 0; row < 5; row++) yield db.query()
  }

  t.test(`a stream that is at a query when its client leaves ends before its tenant, ${where}`, async t => {
    const { app, db } = await setUp(t, (scope, db) => {
      first(scope)
      scope.get('/', async () => Readable.from(rows(db)))
    }, { drainTimeout: 60_000 })
    await leave(app, db.door.reached)
    const unloaded = app.multitenant.unload('acme')
    await turn()
    t.same(db.events, [], 'it is still at its query')
    db.door.open()
    t.match(await unloaded, { drained: true })
    t.same(db.events, ['query of an open database', 'closed'], 'nobody asks for the other rows')
  })

  t.test(`a stream that is to answer a client that has left is not read, ${where}`, async t => {
    const gate = new Door()
    const { app, db } = await setUp(t, (scope, db) => {
      first(scope)
      db.door.open()
      scope.get('/', async () => {
        await gate.pass()
        return Readable.from(rows(db))
      })
    }, { drainTimeout: 60_000 })
    await leave(app, gate.reached)
    const unloaded = app.multitenant.unload('acme')
    gate.open()
    t.match(await unloaded, { drained: true })
    await turn()
    t.same(db.events, ['closed'])
  })
}

t.test('a stream without destroy() releases the lease when it answers', async t => {
  const gate = new Door()
  const { app, abort } = await setUp(t, (scope, db) => {
    scope.get('/', async () => {
      const work = gate.pass()
      await db.door.pass()
      await work
      return new OldStream()
    })
    db.door.open()
  }, { drainTimeout: 60_000 })
  await abort()
  const unloaded = app.multitenant.unload('acme')
  gate.open()
  t.match(await unloaded, { drained: true })
})

t.test('a stream that the handler itself writes to holds a tenant only while its client stays', async t => {
  const { app, abort } = await setUp(t, (scope, db) => {
    scope.get('/', (_request, reply) => {
      reply.hijack()
      new PassThrough().pipe(reply.raw)
      db.door.pass()
    })
  }, { drainTimeout: 60_000 })
  await abort()
  t.match(await app.multitenant.unload('acme'), { drained: true })
})

t.test('an injected request whose response is destroyed holds a tenant until its handler has ended', async t => {
  let raw: FastifyReply['raw'] | undefined
  const { app, db } = await setUp(t, (scope, db) => {
    scope.get('/', async (_request, reply) => {
      raw = reply.raw
      return db.query()
    })
  })
  const answer = app.inject({ url: '/', headers: { 'x-tenant-id': 'acme' } }).catch(() => null)
  await db.door.reached
  raw?.destroy()
  await answer
  t.equal(await inFlight(app), 1)
  db.door.open()
  await until(async () => await inFlight(app) === 0)
})

t.test('a stream that has sent nothing holds a tenant only while its client stays', async t => {
  const { app, abort } = await setUp(t, (scope, db) => {
    scope.get('/', (_request, reply) => {
      reply.send(new PassThrough())
      db.door.pass()
    })
  })
  await abort()
  t.match(await app.multitenant.unload('acme'), { drained: true })
})

t.test('a stream that has sent nothing over HTTP/2 holds a tenant only while its client stays', async t => {
  const { app, db } = await setUp(t, (scope, db) => {
    scope.get('/', (_request, reply) => {
      reply.send(new PassThrough())
      db.door.pass()
    })
  }, { drainTimeout: 60_000 }, { http2: true } as never)
  const leave = startHttp2(t, app)
  await db.door.reached
  await leave()
  t.match(await app.multitenant.unload('acme'), { drained: true })
})

for (const isEnded of [true, false]) {
  t.test(`an HTTP/2 request that its client resets without an error code holds a tenant no longer than drainTimeout, ${isEnded ? 'answered' : 'while it is answered'}`, async t => {
    const { app } = await setUp(t, scope => {
      scope.get('/', async (_request, reply) => {
        if (isEnded) return 'more than the client takes'
        reply.raw.write('more than the client takes')
        return reply.hijack()
      })
    }, { drainTimeout: 20 }, { http2: true } as never)
    const { port } = app.server.address() as { port: number }
    const client = connect(port, '127.0.0.1')
    t.teardown(() => client.destroy())
    const [session] = await Promise.all([
      once(app.server, 'session').then(([session]) => session),
      client.write(Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), TAKE_NOTHING, GET]))
    ])
    await until(async () => await inFlight(app) === 1)
    await turn()
    const left = once(session, 'goaway')
    client.write(Buffer.concat([frame(3, 0, 1, Buffer.alloc(4)), frame(7, 0, 0, Buffer.alloc(8))]))
    await left
    client.destroy()
    await until(async () => await inFlight(app) === 0)
  })
}

t.test('a request whose onSend hook throws when its client has left holds a tenant no longer', async t => {
  const { app, db, abort } = await setUp(t, (scope, db) => {
    scope.addHook('onSend', () => { throw new Error('no headers for you') })
    scope.get('/', async () => db.query())
  }, { drainTimeout: 60_000 })
  await abort()
  t.equal(await inFlight(app), 1)
  db.door.open()
  await until(async () => await inFlight(app) === 0)
})

for (const own of [true, false]) {
  t.test(`a websocket that its client ends holds a tenant no longer, with @fastify/websocket of the ${own ? 'tenant' : 'app'}`, async t => {
    const app = Fastify()
    t.teardown(() => app.close())
    if (!own) app.register(websocket)
    const plugin: Plugin = async scope => {
      if (own) await scope.register(websocket)
      scope.get('/socket', { websocket: true }, socket => { socket.send('hello') })
    }
    app.register(multitenant, { tenants: { acme: { plugin } } })
    const address = await listen(app)
    await app.multitenant.init('acme')
    const client = new WebSocket(`${address.replace('http', 'ws')}/socket`, { headers: { 'x-tenant-id': 'acme' } })
    await once(client, 'message')
    t.equal(await inFlight(app), 1)
    client.terminate()
    await until(async () => await inFlight(app) === 0)
  })
}
