import { once as event } from 'node:events'
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import websocket from '@fastify/websocket'
import t from 'tap'
import WebSocket from 'ws'
import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import multitenant from '../../index.ts'
import { as, emptyApp, inFlight, listen, tenants } from '../fixtures/http/app.ts'
import type { Teardown } from '../fixtures/http/app.ts'
import { ask, exchange, read } from '../fixtures/http/exchange.ts'

/** Sends its name, then echoes. */
const echo: FastifyPluginAsync = async scope => {
  scope.get('/echo', { websocket: true }, (socket, request) => {
    socket.send(`${request.tenantId} ${request.routeOptions.url}`)
    socket.on('message', message => socket.send(`${request.tenantId}: ${String(message)}`))
  })
  scope.get('/plain', async () => 'plain')
}

const echoing: FastifyPluginAsync = async (scope, options) => {
  await scope.register(websocket)
  await echo(scope, options)
}

function open (t: Teardown, app: FastifyInstance, url: string, tenant?: string): WebSocket {
  const address = app.server.address()
  if (address === null || typeof address === 'string') throw new Error('The app does not listen')
  const socket = new WebSocket(`ws://127.0.0.1:${address.port}${url}`, { headers: tenant === undefined ? {} : as(tenant) })
  t.teardown(async () => socket.terminate())
  return socket
}

async function message (socket: WebSocket): Promise<string> {
  const [data]: unknown[] = await event(socket, 'message')
  return String(data)
}

/**
 * Ends what is open before the app is closed. An upgrade that a hook refuses before the one of @fastify/websocket has run stays open,
 * in plain Fastify too.
 */
function endConnections (t: Teardown, app: FastifyInstance): void {
  const sockets = new Set<Socket>()
  app.server.on('connection', (socket: Socket) => { sockets.add(socket) })
  t.teardown(async () => {
    for (const socket of sockets) socket.destroy()
  })
}

/** The server's answer in place of an upgrade. */
async function refusal (socket: WebSocket): Promise<number | undefined> {
  socket.on('error', () => {})
  const [, answer]: [unknown, IncomingMessage] = await event(socket, 'unexpected-response') as [unknown, IncomingMessage]
  answer.resume()
  return answer.statusCode
}

/** Resolves when the server has closed its end of every connection. */
async function connectionsClosed (app: FastifyInstance, connect: () => Promise<void>): Promise<void> {
  const closed: Array<Promise<unknown>> = []
  app.server.on('connection', socket => { closed.push(event(socket, 'close')) })
  await connect()
  await Promise.all(closed)
}

for (const place of ['before', 'after']) {
  t.test(`the app's @fastify/websocket, registered ${place} the plugin`, async t => {
    async function start (t: Teardown): Promise<FastifyInstance> {
      const app = emptyApp(t)
      endConnections(t, app)
      if (place === 'before') await app.register(websocket)
      await app.register(multitenant, {
        tenants: tenants({ acme: echo, globex: echo, initech: async scope => { scope.get('/plain', async () => 'plain') } })
      })
      if (place === 'after') await app.register(websocket)
      await app.register(async app => {
        app.get('/shared', { websocket: true }, (socket, request) => { socket.send(`shared, ${request.tenantId}`) })
      })
      return await listen(app)
    }

    for (const temperature of ['cold', 'warm']) {
      t.test(`serves a tenant's route, ${temperature}`, async t => {
        const app = await start(t)
        if (temperature === 'warm') await app.multitenant.init('acme')
        const socket = open(t, app, '/echo', 'acme')
        t.equal(await message(socket), 'acme /echo')
        const answer = message(socket)
        socket.send('hello')
        t.equal(await answer, 'acme: hello')
      })
    }

    t.test('two tenants, and a shared route, at the same time', async t => {
      const app = await start(t)
      const sockets = [open(t, app, '/echo', 'acme'), open(t, app, '/echo', 'globex'), open(t, app, '/shared', 'acme'), open(t, app, '/shared')]
      t.strictSame(await Promise.all(sockets.map(message)), ['acme /echo', 'globex /echo', 'shared, acme', 'shared, null'])
    })

    t.test('the lease is held while the socket is open', async t => {
      const app = await start(t)
      for (const url of ['/echo', '/shared']) {
        await connectionsClosed(app, async () => {
          const socket = open(t, app, url, 'acme')
          await message(socket)
          t.equal(await inFlight(app, 'acme'), 1, url)
          socket.close()
        })
        t.equal(await inFlight(app, 'acme'), 0, url)
      }
    })

    t.test('the lease is released when the client breaks off', async t => {
      const app = await start(t)
      await connectionsClosed(app, async () => {
        const socket = open(t, app, '/echo', 'acme')
        await message(socket)
        socket.terminate()
      })
      t.equal(await inFlight(app, 'acme'), 0)
    })

    t.test('a URL without a websocket route, or of an unknown tenant, is not upgraded', async t => {
      const app = await start(t)
      t.equal(await refusal(open(t, app, '/echo', 'initech')), 404)
      t.equal(await refusal(open(t, app, '/echo', 'hooli')), 404)
      t.equal(await refusal(open(t, app, '/echo')), 404)
      t.equal(await refusal(open(t, app, '/echo', '../etc')), 400)
    })

    t.test('plain requests work as before', async t => {
      const app = await start(t)
      t.equal((await exchange(app, { url: '/plain', tenant: 'acme' })).body, 'plain')
      t.equal((await exchange(app, { url: '/echo', tenant: 'acme' })).status, 404, 'a websocket route has nothing else to say')
      t.equal(await inFlight(app, 'acme'), 0)
    })
  })
}

t.test('a tenant with a @fastify/websocket of its own', async t => {
  async function start (t: Teardown): Promise<FastifyInstance> {
    const app = emptyApp(t)
    endConnections(t, app)
    app.register(multitenant, {
      drainTimeout: 30_000,
      tenants: tenants({ acme: echoing, globex: echoing, initech: async scope => { scope.get('/echo', async () => 'no socket') } })
    })
    app.get('/shared', async request => `shared, ${request.tenantId}`)
    await listen(app)
    // An app without any websocket plugin does not listen for upgrades yet.
    await app.multitenant.init('acme')
    return app
  }

  t.test('gets only its own upgrades', async t => {
    const app = await start(t)
    await app.multitenant.init('globex')
    const acme = open(t, app, '/echo', 'acme')
    const globex = open(t, app, '/echo', 'globex')
    t.strictSame(await Promise.all([message(acme), message(globex)]), ['acme /echo', 'globex /echo'])
    const answers = Promise.all([message(acme), message(globex)])
    acme.send('a')
    globex.send('g')
    t.strictSame(await answers, ['acme: a', 'globex: g'])
    t.strictSame(['acme', 'globex'].map(id => app.multitenant.get(id)?.app.websocketServer.clients.size), [1, 1])
    t.notOk('websocketServer' in app)
  })

  t.test('another tenant without one answers in plain HTTP', async t => {
    const app = await start(t)
    const upgrading = { connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': '13', 'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==' }
    for (const [url, tenant, status, body] of [['/echo', 'initech', 200, 'no socket'], ['/shared', 'initech', 200, 'shared, initech'], ['/shared', 'acme', 200, 'shared, acme']] as const) {
      const client = ask(app, { url, tenant, headers: { ...upgrading, connection: 'Upgrade' } }).end()
      const [incoming]: IncomingMessage[] = await event(client, 'response')
      const answer = await read(incoming as IncomingMessage)
      t.equal(answer.status, status)
      t.equal(answer.body, body)
      client.destroy()
    }
    t.equal(await refusal(open(t, app, '/nowhere', 'initech')), 404)
    t.equal(await refusal(open(t, app, '/echo', 'hooli')), 404)
    t.equal(await refusal(open(t, app, '/echo')), 404)
  })

  t.test('the lease is held while the socket is open', async t => {
    const app = await start(t)
    await connectionsClosed(app, async () => {
      const socket = open(t, app, '/echo', 'acme')
      await message(socket)
      t.equal(await inFlight(app, 'acme'), 1)
      socket.close()
    })
    t.equal(await inFlight(app, 'acme'), 0)
  })

  t.test('open sockets are closed by the preClose hook when an unload begins, as at the close of an app', async t => {
    const app = await start(t)
    const socket = open(t, app, '/echo', 'acme')
    await message(socket)
    t.match(await app.multitenant.unload('acme'), { drained: true, forced: [] })
    if (socket.readyState !== WebSocket.CLOSED) await event(socket, 'close')
    t.equal(socket.readyState, WebSocket.CLOSED)
  })

  t.test('its plain routes work as before', async t => {
    const app = await start(t)
    t.equal((await exchange(app, { url: '/plain', tenant: 'acme' })).body, 'plain')
    t.equal(await inFlight(app, 'acme'), 0)
  })

  t.test("works beside the app's @fastify/websocket, which the other tenants use", async t => {
    const app = emptyApp(t)
    endConnections(t, app)
    await app.register(websocket)
    // The tenant inherits the app's decorators, so it uses another library that listens on its server.
    app.register(multitenant, {
      tenants: tenants({
        acme: async scope => {
          scope.server.on('upgrade', (_raw: IncomingMessage, socket: Socket) => {
            socket.end('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: acme\r\n\r\n')
          })
          scope.get('/own', async () => 'own')
        },
        globex: echo
      })
    })
    await listen(app)
    await app.multitenant.init('acme')
    const client = ask(app, { url: '/own', tenant: 'acme', headers: { connection: 'Upgrade', upgrade: 'acme' } }).end()
    const [incoming]: IncomingMessage[] = await event(client, 'upgrade')
    t.equal(incoming?.headers.upgrade, 'acme')
    t.equal(await message(open(t, app, '/echo', 'globex')), 'globex /echo')
  })
})
