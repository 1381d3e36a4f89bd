import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { mock } from 'node:test'
import websocket from '@fastify/websocket'
import Fastify from 'fastify'
import fp from 'fastify-plugin'
import t from 'tap'
import { WebSocket } from 'ws'
import multitenant from '../index.ts'
import { alive, answers, answersBehind, appWith, call, Door, Events, fakeTime, latch, listen, LogLines, MemorySource, refusal, send, turn, until } from './fixtures/lifecycle/app.ts'
import { ignoreLeases } from './fixtures/lifecycle/ignore-leases.ts'
import type { FastifyInstance } from 'fastify'
import type { Plugin } from './fixtures/lifecycle/app.ts'

t.test('a thousand concurrent first requests load a tenant once, and all are answered', async t => {
  const door = new Door()
  const app = appWith(t, { acme: answersBehind(door, 'acme') })
  await app.ready()
  const sent = Array.from({ length: 1000 }, () => send(app, 'acme'))
  await door.reached
  t.equal(app.multitenant.get('acme'), null, 'nothing that is half built is shown')
  door.open()
  const responses = await Promise.all(sent)
  t.same([...new Set(responses.map(({ statusCode, body }) => `${statusCode} ${body}`))], ['200 acme'])
  t.equal(door.passed, 1)
  t.equal(app.multitenant.get('acme')?.generation, 1)
})

t.test('negative control: without a shared load, each of the first requests loads the tenant', async t => {
  let loads = 0
  const door = new Door()
  const tenants = new Map<string, string>()
  const app = Fastify()
  t.teardown(() => app.close())
  app.get('/', async () => {
    if (!tenants.has('acme')) {
      loads++
      await door.pass()
      tenants.set('acme', 'loaded')
    }
    return tenants.get('acme')
  })
  const sent = Array.from({ length: 100 }, () => app.inject('/'))
  await door.reached
  door.open()
  await Promise.all(sent)
  t.equal(loads, 100)
})

/** A tenant that closes its database, with a handler and a stream that use the database late. */
function withDatabase (door: Door, events: string[]): Plugin {
  return async scope => {
    const db = { open: true }
    scope.addHook('onClose', async () => {
      db.open = false
      events.push('database closed')
    })
    scope.addHook('onResponse', async () => { events.push(`onResponse, database ${db.open ? 'open' : 'closed'}`) })
    scope.get('/', async () => {
      await door.pass()
      return `database ${db.open ? 'open' : 'closed'}`
    })
    scope.get('/stream', async (_request, reply) => {
      const stream = new PassThrough()
      stream.write('begun, ')
      door.pass().then(() => stream.end(`database ${db.open ? 'open' : 'closed'}`))
      return reply.send(stream)
    })
  }
}

t.test('a tenant closes when its requests, their streams and their onResponse hooks have ended', async t => {
  for (const url of ['/', '/stream']) {
    for (const end of ['unload', 'reload', 'suspend'] as const) {
      await t.test(`${end}, GET ${url}`, async t => {
        const door = new Door()
        const events: string[] = []
        const app = appWith(t, { acme: { plugin: withDatabase(door, events) } })
        const address = await listen(app)
        const response = call(address + url, 'acme').then(response => response.text())
        await door.reached
        const ended = app.multitenant[end]('acme')
        const drained = end === 'reload' ? ended.then(report => (report as { drain: Promise<unknown> }).drain) : ended
        await turn()
        t.same(events, [], 'nothing is closed yet')
        door.open()
        t.match(await response, /database open$/)
        t.same(await drained, { generation: 1, drained: true, forced: [] })
        t.same(events, ['onResponse, database open', 'database closed'])
      })
    }
  }
})

t.test('negative control: an unload that ignores leases closes the database of a running request', async t => {
  ignoreLeases(t)
  const door = new Door()
  const events: string[] = []
  const app = appWith(t, { acme: { plugin: withDatabase(door, events) } })
  await app.ready()
  const response = send(app, 'acme')
  await door.reached
  await app.multitenant.unload('acme')
  t.same(events, ['database closed'])
  door.open()
  t.equal((await response).body, 'database closed')
})

t.test('a response that is kept does not keep the responses of concurrent requests', async t => {
  const doors = [new Door(), new Door(), new Door()]
  const kept: object[] = []
  const beside: Array<WeakRef<object>> = []
  const app = appWith(t, {
    acme: {
      plugin: async scope => {
        scope.get<{ Params: { index: number } }>('/:index', async ({ params: { index } }, { raw }) => {
          if (Number(index) === 1) kept.push(raw)
          else beside.push(new WeakRef(raw))
          await doors[index]?.pass()
          return 'done'
        })
      }
    }
  })
  // In a separate function, so that its results can be collected.
  await (async () => {
    const sent = []
    for (const [index, door] of doors.entries()) {
      sent.push(send(app, 'acme', `/${index}`))
      await door.reached
    }
    // The kept response ends while both of its neighbours run.
    for (const index of [1, 0, 2]) {
      doors[index]!.open()
      t.equal((await sent[index]!).body, 'done')
    }
  })()
  t.equal(await alive(beside), 0)
  t.equal(kept.length, 1)
})

t.test('a client that leaves during a stream holds a tenant no longer', async t => {
  const door = new Door()
  const events: string[] = []
  const app = appWith(t, { acme: { plugin: withDatabase(door, events) } })
  const address = await listen(app)
  const response = await call(`${address}/stream`, 'acme')
  t.equal(response.status, 200)
  const unloaded = app.multitenant.unload('acme')
  response.leave()
  t.match(await unloaded, { drained: true })
  door.open()
})

t.test('a client that leaves while the tenant loads holds no tenant', async t => {
  const door = new Door()
  const app = appWith(t, { acme: answersBehind(door, 'acme') })
  const address = new URL(await listen(app))
  const socket = connect(Number(address.port), address.hostname)
  socket.write('GET / HTTP/1.1\r\nhost: localhost\r\nx-tenant-id: acme\r\n\r\n')
  const [connection] = await once(app.server, 'connection') as [Socket]
  await door.reached
  socket.destroy()
  await once(connection, 'close')
  door.open()
  await until(() => app.multitenant.get('acme') !== null)
  const { tenants } = await app.multitenant.stats()
  t.match(tenants, [{ id: 'acme', inFlight: 0 }])
  t.match(await app.multitenant.unload('acme'), { drained: true })
})

t.test('a client that leaves with pipelined requests holds a tenant only for the running handlers', async t => {
  const door = new Door()
  const app = appWith(t, {
    acme: {
      plugin: async scope => {
        scope.get('/slow', async () => {
          await door.pass()
          return 'slow'
        })
        scope.get('/quick', async () => 'quick')
      }
    }
  })
  app.get('/shared', async () => 'shared')
  const address = new URL(await listen(app))
  await app.multitenant.init('acme')
  const pipeline = (...urls: string[]): Socket => {
    const socket = connect(Number(address.port), address.hostname)
    socket.write(urls.map(url => `GET ${url} HTTP/1.1\r\nhost: localhost\r\nx-tenant-id: acme\r\n\r\n`).join(''))
    return socket
  }
  const held = async (): Promise<number | undefined> => (await app.multitenant.stats()).tenants[0]?.inFlight

  const leaving = pipeline('/slow', '/quick', '/shared', ...Array.from({ length: 20 }, () => '/quick'))
  await until(async () => await held() === 23)
  leaving.destroy()
  await until(async () => await held() === 1)

  const staying = pipeline('/quick', '/slow', '/quick', '/shared')
  await until(async () => await held() === 4)
  door.open()
  await until(async () => await held() === 0)
  staying.destroy()
  t.match(await app.multitenant.unload('acme'), { drained: true })
})

t.test('a client that leaves while a tenant loads for its pipelined requests holds no tenant', async t => {
  const door = new Door()
  const slow = new Door()
  const app = appWith(t, { acme: answersBehind(door, 'acme') })
  app.get('/slow', async () => slow.pass())
  const address = new URL(await listen(app))
  const socket = connect(Number(address.port), address.hostname)
  socket.write('GET /slow HTTP/1.1\r\nhost: localhost\r\n\r\nGET / HTTP/1.1\r\nhost: localhost\r\nx-tenant-id: acme\r\n\r\n')
  const [connection] = await once(app.server, 'connection') as [Socket]
  await door.reached
  socket.destroy()
  await once(connection, 'close')
  door.open()
  await until(() => app.multitenant.get('acme') !== null)
  await turn()
  t.match((await app.multitenant.stats()).tenants, [{ id: 'acme', inFlight: 0 }])
  slow.open()
})

t.test('requests that run after drainTimeout are closed by force and reported', async t => {
  const door = new Door()
  const events: string[] = []
  const messages = new Events(t)
  const log = new LogLines()
  const app = appWith(t, { acme: { plugin: withDatabase(door, events) } }, { drainTimeout: 20 }, log.server)
  const address = new URL(await listen(app))
  const socket = connect(Number(address.port), address.hostname)
  t.teardown(() => socket.destroy())
  socket.resume()
  socket.write('GET /stream?of=acme HTTP/1.1\r\nhost: localhost\r\nx-tenant-id: acme\r\n\r\n')
  await door.reached
  const cut = once(socket, 'close')
  const report = await app.multitenant.unload('acme')
  await cut
  t.match(report, { generation: 1, drained: false, forced: [{ method: 'GET', url: '/stream?of=acme', ms: Number }] })
  t.equal(report?.forced.length, 1)
  t.ok(events.includes('database closed'))
  t.match(messages.of('drain'), [{ id: 'acme', generation: 1, drained: false, forced: [{ url: '/stream?of=acme' }] }])
  t.match(log.of('tenant closed by force'), [{ level: 40, tenantId: 'acme', drained: false }])
  door.open()
  t.equal((await send(app, 'acme', '/nowhere')).statusCode, 404, 'the tenant can be loaded again')
})

t.test('an unload of a tenant that is not loaded does nothing', async t => {
  const app = appWith(t, { acme: answers('acme') })
  await app.ready()
  t.equal(await app.multitenant.unload('acme'), null)
  t.equal(await app.multitenant.unload('nobody'), null)
})

t.test('a second unload during the first resolves, and the tenant closes once', async t => {
  const door = new Door()
  const events: string[] = []
  const app = appWith(t, { acme: { plugin: withDatabase(door, events) } })
  await app.ready()
  const response = send(app, 'acme')
  await door.reached
  const unloads = [app.multitenant.unload('acme'), app.multitenant.unload('acme')]
  door.open()
  t.equal((await response).body, 'database open')
  await Promise.all(unloads)
  t.same(events.filter(event => event === 'database closed'), ['database closed'])
})

t.test('a tenant that is unloaded while it loads closes, and its waiting requests are answered', async t => {
  const door = new Door()
  const events = new Events(t)
  const app = appWith(t, { acme: answersBehind(door, 'acme') })
  await app.ready()
  const responses = Array.from({ length: 10 }, () => send(app, 'acme'))
  await door.reached
  const unloaded = app.multitenant.unload('acme')
  door.open()
  t.same([...new Set((await Promise.all(responses)).map(({ body }) => body))], ['acme'])
  t.match(await unloaded, { generation: 1, drained: true })
  t.ok(door.passed <= 2)
  t.ok(events.names.includes('drain acme 1'))
})

t.test('a tenant that is deleted and added again during its last request is a different tenant', async t => {
  const door = new Door()
  const source = new MemorySource({
    acme: {
      plugin: async scope => {
        scope.get('/', async () => {
          await door.pass()
          return 'the old one'
        })
        scope.get('/old-secret', async () => 'of the old one')
      }
    }
  })
  const app = appWith(t, source)
  await app.ready()
  const old = send(app, 'acme')
  await door.reached
  source.tenants.delete('acme')
  const unloaded = app.multitenant.unload('acme')
  t.same(refusal(await send(app, 'acme')), [404, 'FST_TENANT_NOT_FOUND'])

  source.tenants.set('acme', { plugin: async scope => { scope.get('/', async () => 'the new one') } })
  await app.multitenant.init('acme')
  t.equal((await send(app, 'acme')).body, 'the new one')
  t.equal((await send(app, 'acme', '/old-secret')).statusCode, 404)
  door.open()
  t.equal((await old).body, 'the old one')
  t.match(await unloaded, { generation: 1, drained: true })
  t.equal((await send(app, 'acme')).body, 'the new one', 'the end of the old one does not touch the new one')
})

t.test('a folder that is deleted and created again is loaded from its new files', async t => {
  const dir = t.testdir({ 'again-acme': { routes: { 'index.mjs': 'export default async app => { app.get("/", async () => "old") }' } } })
  const app = appWith(t, dir)
  t.equal((await send(app, 'again-acme')).body, 'old')
  await rm(join(dir, 'again-acme'), { recursive: true })
  await app.multitenant.unload('again-acme')
  await until(async () => (await send(app, 'again-acme')).statusCode === 404)

  await mkdir(join(dir, 'again-acme', 'routes'), { recursive: true })
  await writeFile(join(dir, 'again-acme', 'routes', 'index.mjs'), 'export default async app => { app.get("/", async () => "new") }')
  await app.multitenant.init('again-acme')
  t.equal((await send(app, 'again-acme')).body, 'new')
})

t.test('all entries refuse a suspended tenant', async t => {
  const app = appWith(t, { acme: answers('acme'), globex: answers('globex') })
  app.get('/of-the-app', async request => request.tenantId)
  const address = await listen(app)
  t.equal((await send(app, 'acme')).body, 'acme')
  const tenant = app.multitenant.get('acme')!
  t.match(await app.multitenant.suspend('acme'), { generation: 1, drained: true })

  const suspended = { code: 'FST_TENANT_SUSPENDED', statusCode: 403 }
  for (const url of ['/', '/of-the-app', '/nowhere']) {
    t.same(refusal(await send(app, 'acme', url)), [403, 'FST_TENANT_SUSPENDED'], `inject ${url}`)
    const response = await call(address + url, 'acme')
    t.equal(response.status, 403, `HTTP ${url}`)
  }
  await t.rejects(app.multitenant.run('acme', () => 'ran'), suspended)
  await t.rejects(app.multitenant.init('acme'), suspended)
  await t.rejects(app.multitenant.reload('acme'), suspended)
  t.equal(app.multitenant.get('acme'), null)
  t.equal(tenant.active, false)
  await t.rejects(tenant.app.inject('/'), suspended, 'its own instance, which somebody has kept, answers no more')
  t.equal((await send(app, 'globex')).body, 'globex', 'other tenants are not touched')
  t.match(await app.multitenant.stats(), { suspended: 1, tenants: [{ id: 'acme', state: 'suspended' }, { id: 'globex', state: 'active' }] })

  app.multitenant.resume('acme')
  t.equal((await send(app, 'acme')).body, 'acme')
})

t.test('nothing new enters a suspended tenant during its last request', async t => {
  const door = new Door()
  const app = appWith(t, {
    acme: {
      plugin: async scope => {
        scope.get('/', async () => 'acme')
        scope.get('/slow', async () => {
          await door.pass()
          return 'over'
        })
      }
    }
  })
  const last = send(app, 'acme', '/slow')
  await door.reached
  const tenant = app.multitenant.get('acme')!
  const ending = app.multitenant.suspend('acme')
  await turn()

  t.equal(tenant.state, 'draining')
  const refused = { code: 'FST_TENANT_SUSPENDED', statusCode: 403 }
  await t.rejects(tenant.app.inject('/'), refused)
  const error = await new Promise(resolve => { tenant.app.inject('/', resolve) })
  t.match(error, refused)

  app.multitenant.resume('acme')
  t.equal((await tenant.app.inject('/')).body, 'acme', 'the generation that ends still serves its own jobs')
  door.open()
  t.equal((await last).body, 'over')
  t.match(await ending, { drained: true })
})

t.test('a tenant that is suspended while it loads refuses all that wait', async t => {
  const door = new Door()
  const app = appWith(t, { acme: answersBehind(door, 'acme') })
  await app.ready()
  const responses = [send(app, 'acme'), send(app, 'acme')]
  await door.reached
  const suspended = app.multitenant.suspend('acme')
  await turn()
  door.open()
  for (const response of await Promise.all(responses)) t.same(refusal(response), [403, 'FST_TENANT_SUSPENDED'])
  await suspended
  t.equal(app.multitenant.get('acme'), null)
})

t.test('a generation that is built while the tenant is suspended or unloaded takes no request', async t => {
  const build = async (asked: (app: FastifyInstance) => unknown): Promise<{ app: FastifyInstance, seen: () => number }> => {
    const doors: Door[] = []
    const app = appWith(t, {
      acme: {
        plugin: async () => {
          const door = new Door()
          doors.push(door)
          await door.pass()
        }
      }
    })
    await app.ready()
    let seen = 0
    const look = async (): Promise<void> => {
      for (let turns = 0; turns < 50; turns++) {
        if (app.multitenant.get('acme') !== null) seen++
        await null
      }
    }
    for (const event of ['load', 'reload']) {
      subscribe(`fastify-multitenant:${event}`, look)
      t.teardown(() => unsubscribe(`fastify-multitenant:${event}`, look))
    }
    const loading = app.multitenant.init('acme')
    await until(() => doors.length === 1)
    const asking = Promise.allSettled([loading, app.multitenant.reload('acme')])
    await turn()
    const ending = asked(app)
    doors[0]?.open()
    await until(() => doors.length === 2)
    doors[1]?.open()
    await asking
    await ending
    return { app, seen: () => seen }
  }
  const suspended = await build(app => app.multitenant.suspend('acme'))
  t.equal(suspended.seen(), 0)
  t.equal(suspended.app.multitenant.get('acme'), null)
  t.same(refusal(await send(suspended.app, 'acme')), [403, 'FST_TENANT_SUSPENDED'])
  const control = await build(() => {})
  t.ok(control.seen() > 0, 'the control: otherwise it is seen at once')
})

t.test('a tenant that unloads itself while it loads fails at once', async t => {
  const app = appWith(t, {
    acme: {
      plugin: async scope => {
        for (const end of ['unload', 'suspend', 'reload'] as const) {
          await t.rejects(async () => { await scope.multitenant[end]('acme') }, { code: 'FST_TENANT_LOAD_FAILED', cause: { message: 'Loading this tenant waits for itself' } }, end)
        }
        scope.get('/', async () => 'acme')
      }
    }
  })
  t.equal((await send(app, 'acme')).body, 'acme', 'what was refused has no effect')
})

t.test('only a tenant that exists can be suspended', async t => {
  const app = appWith(t, { acme: answers('acme') })
  await app.ready()
  await t.rejects(app.multitenant.suspend('nobody'), { code: 'FST_TENANT_NOT_FOUND' })
  t.match(await app.multitenant.stats(), { suspended: 0 })
})

t.test('resume() ends the pause after a failure', async t => {
  let broken = true
  const app = appWith(t, {
    acme: {
      plugin: async scope => {
        if (broken) throw new Error('broken')
        scope.get('/', async () => 'acme')
      }
    }
  })
  t.equal((await send(app, 'acme')).statusCode, 503)
  await app.multitenant.suspend('acme')
  broken = false
  app.multitenant.resume('acme')
  t.equal((await send(app, 'acme')).body, 'acme')
})

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
