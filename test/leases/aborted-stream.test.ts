import { once } from 'node:events'
import { connect } from 'node:net'
import { Database, closed, inFlight, setUp, startHttp2 } from '../fixtures/lifecycle/aborted.ts'
import type { Socket } from 'node:net'
import { PassThrough, Readable, Stream } from 'node:stream'
import websocket from '@fastify/websocket'
import Fastify from 'fastify'
import t from 'tap'
import { WebSocket } from 'ws'
import type { FastifyInstance, FastifyReply } from 'fastify'
import multitenant from '../../index.ts'
import { Door, listen, turn, until } from '../fixtures/lifecycle/app.ts'
import type { Plugin } from '../fixtures/lifecycle/app.ts'

/** An old-style stream: it can be piped, but it has no destroy(). */
class OldStream extends Stream {
  override pipe<T extends NodeJS.WritableStream> (target: T): T {
    super.pipe(target)
    this.emit('data', 'a row')
    this.emit('end')
    return target
  }
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
