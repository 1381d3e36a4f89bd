import { once } from 'node:events'
import httpProxy from '@fastify/http-proxy'
import websocket from '@fastify/websocket'
import { Server as SocketServer } from 'socket.io'
import { io as connect } from 'socket.io-client'
import type { IncomingMessage } from 'node:http'
import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import t from 'tap'
import WebSocket from 'ws'
import multitenant from '../../index.ts'
import { as, appOf, emptyApp, inFlight, listen, tenants } from '../fixtures/http/app.ts'
import type { Teardown } from '../fixtures/http/app.ts'
import { ask, read } from '../fixtures/http/exchange.ts'
import type { Answer } from '../fixtures/http/exchange.ts'

function portOf (app: FastifyInstance): number {
  return (app.server.address() as { port: number }).port
}

/** When socket.io is closed. */
type End = 'preClose' | 'onClose'

/** Names its owner to new connections, and sends back what it receives. */
const chatting = (end: End): FastifyPluginAsync => async (scope, options) => {
  const { id } = (options as { tenant: { id: string } }).tenant
  const io = new SocketServer(scope.server)
  io.on('connection', socket => {
    socket.emit('welcome', id)
    socket.on('say', (text, done) => done(`${id}: ${text}`))
  })
  scope.get('/own', async () => `own of ${id}`)
  scope.addHook(end as 'onClose', async () => io.close())
}

/** Unlike `exchange`, does not wait for the next closed response, which could be that of an open poll. */
async function get (app: FastifyInstance, tenant: string, url: string): Promise<Answer> {
  const client = ask(app, { url, tenant })
  client.end()
  const [incoming] = await once(client, 'response') as [IncomingMessage]
  return read(incoming)
}

type Transport = 'websocket' | 'polling'

async function join (t: Teardown, app: FastifyInstance, id: string, transport: Transport): Promise<{ welcome: string, say: (text: string) => Promise<string>, left: Promise<unknown> }> {
  const socket = connect(`http://127.0.0.1:${portOf(app)}`, { transports: [transport], extraHeaders: as(id), reconnection: false, forceNew: true })
  t.teardown(async () => socket.close())
  const welcome = await new Promise<string>((resolve, reject) => socket.on('welcome', resolve).on('connect_error', reject))
  return {
    welcome,
    say: async text => socket.emitWithAck('say', text),
    left: new Promise(resolve => socket.on('disconnect', resolve))
  }
}

for (const [transport, end] of [['websocket', 'preClose'], ['websocket', 'onClose'], ['polling', 'preClose'], ['polling', 'onClose']] as const) {
  t.test(`socket.io in tenants, by ${transport}, closed in ${end}`, async t => {
    const app = await listen(appOf(t, { acme: chatting(end), globex: chatting(end), initech: async () => {} }, { drainTimeout: 30_000 }))
    await app.multitenant.init('acme')
    await app.multitenant.init('globex')
    const [acme, globex] = [await join(t, app, 'acme', transport), await join(t, app, 'globex', transport)]
    t.same([acme.welcome, globex.welcome], ['acme', 'globex'])
    t.same([await acme.say('hello'), await globex.say('hello')], ['acme: hello', 'globex: hello'])
    t.equal((await get(app, 'acme', '/own')).body, 'own of acme')
    t.equal((await get(app, 'initech', '/socket.io/?EIO=4&transport=polling')).status, 404)
    await t.rejects(join(t, app, 'initech', transport))
    t.match(await app.multitenant.unload('acme'), { drained: true, forced: [] })
    await acme.left
    t.equal(await globex.say('still here'), 'globex: still here')
    t.equal((await join(t, app, 'globex', transport)).welcome, 'globex')
    t.ok(await inFlight(app, 'globex'))
    await app.close()
    await globex.left
  })
}

t.test('@fastify/http-proxy with WebSockets in a tenant', async t => {
  async function start (t: Teardown): Promise<{ app: FastifyInstance, socket: WebSocket }> {
    const upstream = emptyApp(t)
    await upstream.register(websocket)
    upstream.get('/echo', { websocket: true }, socket => { socket.on('message', message => socket.send(`upstream: ${String(message)}`)) })
    await listen(upstream)
    const app = emptyApp(t)
    app.register(multitenant, {
      drainTimeout: 30_000,
      tenants: tenants({ acme: async scope => { await scope.register(httpProxy, { upstream: `http://127.0.0.1:${portOf(upstream)}`, prefix: '/up', websocket: true }) } })
    })
    await listen(app)
    await app.multitenant.init('acme')
    const socket = new WebSocket(`ws://127.0.0.1:${portOf(app)}/up/echo`, { headers: as('acme') })
    await once(socket, 'open')
    socket.send('hello')
    const [answer]: unknown[] = await once(socket, 'message')
    t.teardown(async () => socket.terminate())
    if (String(answer) !== 'upstream: hello') throw new Error(`The proxy answered ${String(answer)}`)
    return { app, socket }
  }

  for (const end of ['app.close()', 'unload()'] as const) {
    t.test(`${end} closes an open socket cleanly`, async t => {
      const { app, socket } = await start(t)
      const closed = once(socket, 'close')
      if (end === 'unload()') t.match(await app.multitenant.unload('acme'), { drained: true, forced: [] })
      else await app.close()
      const [code] = await closed as [number]
      t.equal(code, 1005)
    })
  }
})
