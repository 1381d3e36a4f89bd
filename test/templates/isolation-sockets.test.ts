import { once } from 'node:events'
import { connect as connectHttp2 } from 'node:http2'
import { Agent } from 'node:http'
import { connect } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import websocket from '@fastify/websocket'
import fp from 'fastify-plugin'
import t from 'tap'
import WebSocket from 'ws'
import type { AddressInfo } from 'node:net'
import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import { appOf, as, BASES, each, names, sharedApp, shuffled } from '../fixtures/templates/app.ts'
import { tenantOf, URLS, Witness, witnesses } from '../fixtures/templates/witness.ts'
import { ask, exchange } from '../fixtures/http/exchange.ts'
import { call, Door, listen, until } from '../fixtures/lifecycle/app.ts'

function portOf (app: FastifyInstance): number {
  return (app.server.address() as AddressInfo).port
}

for (const base of BASES) {
  for (const order of ['first', 'registered'] as const) {
    t.test(`over sockets that tenants share, in ${base}, order '${order}'`, async t => {
      const ids = names(60)
      const witness = new Witness()
      const app = sharedApp(t, base, ids, witnesses(witness), { order })
      await listen(app)
      const agent = new Agent({ keepAlive: true, maxSockets: 5 })
      t.teardown(() => agent.destroy())
      await each(shuffled([...ids, ...ids].map((id, index) => ({ id, url: URLS[index % URLS.length] as string }))), 20, async ({ id, url }) => {
        const { body, headers } = await exchange(app, { url, headers: as(id), agent })
        t.strictSame([JSON.parse(body).tenant, headers['x-on-send']], [id, id], url)
      })
      t.strictSame(witness.wrong, [])
    })

    t.test(`pipelined on one socket, in ${base}, order '${order}'`, async t => {
      const ids = names(30)
      const witness = new Witness()
      const app = sharedApp(t, base, ids, witnesses(witness), { order })
      await listen(app)
      const socket = connect(portOf(app), '127.0.0.1')
      const asked = shuffled([...ids, ...ids, ...ids])
      socket.write(asked.map((id, index) => {
        const body = `from ${id}`
        const head = `host: x\r\nx-tenant-id: ${id}\r\nx-asked: ${id}\r\nconnection: ${index === asked.length - 1 ? 'close' : 'keep-alive'}\r\n`
        if (index % 3 !== 0) return `GET /hello/${index} HTTP/1.1\r\n${head}\r\n`
        return `POST /echo HTTP/1.1\r\n${head}content-type: text/tenant\r\ncontent-length: ${body.length}\r\n\r\n${body}`
      }).join(''))
      let received = ''
      for await (const chunk of socket) received += String(chunk)
      t.strictSame([...received.matchAll(/\{"tenant":"(\w+)"/g)].map(([, id]) => id), asked)
      t.strictSame([...received.matchAll(/"body":"from (\w+)"/g)].map(([, id]) => id), asked.filter((_, index) => index % 3 === 0))
      t.strictSame(witness.wrong, [])
      t.ok(witness.places.includes('parser'))
    })
  }

  t.test(`HTTP/2 streams of one session, in ${base}`, async t => {
    const ids = names(40)
    const witness = new Witness()
    const app = sharedApp(t, base, ids, witnesses(witness), {}, { http2: true } as never)
    await listen(app)
    const session = connectHttp2(`http://127.0.0.1:${portOf(app)}`)
    t.teardown(() => session.close())
    await each(shuffled([...ids, ...ids, ...ids]), 40, async id => {
      const stream = session.request({ ':path': '/hello/1', ...as(id) })
      let body = ''
      for await (const chunk of stream) body += String(chunk)
      t.strictSame(JSON.parse(body), { tenant: id })
    })
    t.strictSame(witness.wrong, [])
  })

  t.test(`clients that leave, and handlers that take too long, in ${base}`, async t => {
    const ids = names(20)
    const witness = new Witness()
    const door = new Door()
    const app = sharedApp(t, base, ids, withSlowRoutes(witness, door))
    await listen(app)
    await each(ids, 20, async id => {
      const client = ask(app, { url: '/hangs', headers: as(id) })
      client.on('error', () => {})
      client.end()
    })
    await Promise.all(ids.map(async id => {
      const client = ask(app, { url: '/waits', headers: as(id) })
      client.on('error', () => {}).end()
      await until(() => witness.sights.some(({ asked, place }) => asked === id && place === 'waits'))
      client.destroy()
    }))
    const sightsOf = (place: string): number => witness.sights.filter(sight => sight.place === place).length
    await until(() => sightsOf('onRequestAbort') >= 20)
    await until(() => sightsOf('onTimeout') >= 20, 1_000_000)
    door.open()
    await until(() => sightsOf('waited') === 20)
    t.strictSame(witness.wrong, [])
  })

  t.test(`WebSockets, in ${base}`, async t => {
    const ids = names(15)
    const app = sharedApp(t, base, ids, sockets)
    await listen(app)
    // The app takes upgrades from the moment the template is loaded.
    await app.multitenant.init('t0')
    await each(shuffled([...ids, ...ids]), 15, async id => {
      const socket = new WebSocket(`ws://127.0.0.1:${portOf(app)}/echo`, { headers: as(id) })
      t.strictSame(await message(socket), `open ${id}`)
      for (const text of ['one', 'two']) {
        socket.send(text)
        t.strictSame(await message(socket), `${text} ${id}`)
      }
      socket.close()
      await once(socket, 'close')
    })
  })
}

async function message (socket: WebSocket): Promise<string> {
  const [data]: unknown[] = await once(socket, 'message')
  return String(data)
}

const sockets: FastifyPluginAsync = fp(async (scope: FastifyInstance) => {
  await scope.register(websocket)
  scope.register(async scope => {
    scope.get('/echo', { websocket: true }, (socket, request) => {
      socket.send(`open ${tenantOf(request)}`)
      socket.on('message', async text => {
        await setImmediate()
        socket.send(`${String(text)} ${tenantOf(request)}`)
      })
    })
  })
})

function withSlowRoutes (witness: Witness, door: Door): FastifyPluginAsync {
  return fp(async (scope: FastifyInstance) => {
    scope.register(witnesses(witness))
    scope.get('/hangs', async request => {
      request.raw.socket.setTimeout(20)
      await door.pass()
      return { tenant: tenantOf(request) }
    })
    scope.get('/waits', async request => {
      witness.note('waits', request)
      await door.pass()
      witness.note('waited', request)
    })
  })
}

t.test('a WebSocket of a template keeps its generation until the client leaves', async t => {
  const app = appOf(t, { shop: { plugin: sockets as never } }, { a: { template: 'shop', config: { mark: 'a' } } })
  await listen(app)
  await app.multitenant.init('a')
  const socket = new WebSocket(`ws://127.0.0.1:${portOf(app)}/echo`, { headers: as('a') })
  t.equal(await message(socket), 'open a')
  const { drain } = await app.multitenant.reloadTemplate('shop')
  socket.send('still')
  t.equal(await message(socket), 'still a')
  t.match(await app.multitenant.stats(), { templates: [{ generation: 2, tenants: 1, draining: 1 }] })
  socket.close()
  await drain
  t.match(await app.multitenant.stats(), { templates: [{ generation: 2, tenants: 1, draining: 0 }] })
})

t.test('app.close() ends the WebSockets of a template', async t => {
  const app = appOf(t, { shop: { plugin: sockets as never } }, { a: { template: 'shop', config: { mark: 'a' } } })
  const url = await listen(app)
  await app.multitenant.init('a')
  const socket = new WebSocket(`${url.replace('http', 'ws')}/echo`, { headers: as('a') })
  t.equal(await message(socket), 'open a')
  const closed = once(socket, 'close')
  await app.close()
  await closed
})

t.test('plain requests and a body that is cut off reach nobody else', async t => {
  const app = sharedApp(t, 'template', ['a', 'b'], witnesses(new Witness()))
  const url = await listen(app)
  const socket = connect(portOf(app), '127.0.0.1')
  socket.write('POST /echo HTTP/1.1\r\nhost: x\r\nx-tenant-id: a\r\nx-asked: a\r\ncontent-type: text/tenant\r\ncontent-length: 100\r\n\r\ncut')
  await once(socket, 'connect')
  t.equal(JSON.parse(await (await call(`${url}/hello/1`, 'b')).text()).tenant, 'b')
  socket.destroy()
  await until(async () => (await app.multitenant.stats()).tenants.every(({ inFlight }) => inFlight === 0))
})
