import { once } from 'node:events'
import { connect } from 'node:net'
import Fastify from 'fastify'
import t from 'tap'
import { alive, answersBehind, appWith, call, Door, listen, send, turn, until } from '../fixtures/lifecycle/app.ts'
import { withDatabase } from '../fixtures/lifecycle/database.ts'
import { ignoreLeases } from '../fixtures/lifecycle/ignore-leases.ts'
import type { Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'

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

const GET = 'GET / HTTP/1.1\r\nhost: localhost\r\nx-tenant-id: acme\r\n\r\n'

/** Sends these requests, and leaves while the tenant loads. Resolves when it has loaded. */
async function leaveWhileLoading (app: FastifyInstance, door: Door, requests: string): Promise<void> {
  const address = new URL(await listen(app))
  const socket = connect(Number(address.port), address.hostname)
  socket.write(requests)
  const [connection] = await once(app.server, 'connection') as [Socket]
  await door.reached
  socket.destroy()
  await once(connection, 'close')
  door.open()
  await until(() => app.multitenant.get('acme') !== null)
}

t.test('a client that leaves while the tenant loads holds no tenant', async t => {
  const door = new Door()
  const app = appWith(t, { acme: answersBehind(door, 'acme') })
  await leaveWhileLoading(app, door, GET)
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
  await leaveWhileLoading(app, door, `GET /slow HTTP/1.1\r\nhost: localhost\r\n\r\n${GET}`)
  await turn()
  t.match((await app.multitenant.stats()).tenants, [{ id: 'acme', inFlight: 0 }])
  slow.open()
})
