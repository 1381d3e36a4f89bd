import { once } from 'node:events'
import { Agent } from 'node:http'
import express from '@fastify/express'
import httpProxy from '@fastify/http-proxy'
import middie from '@fastify/middie'
import replyFrom from '@fastify/reply-from'
import websocket from '@fastify/websocket'
import Fastify from 'fastify'
import { Server as SocketServer } from 'socket.io'
import { io as connect } from 'socket.io-client'
import t from 'tap'
import WebSocket from 'ws'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { FastifyPluginAsync } from 'fastify'
import { tryAll } from '../fixtures/compatibility/suite.ts'
import { exchange } from '../fixtures/http/exchange.ts'
import type { Client } from '../fixtures/compatibility/start.ts'

/** The target of forwarded requests: it returns what arrived. */
const upstream = Fastify()
await upstream.register(websocket)
upstream.get('/in/echo', { websocket: true }, (socket, { headers }) => {
  socket.send(`upstream for ${String(headers['x-by'])}`)
  socket.on('message', data => socket.send(`upstream: ${String(data)}`))
})
upstream.all('/*', async ({ method, url, headers, body }, reply) => {
  reply.header('x-upstream', 'yes')
  return { method, url, body, by: headers['x-by'] }
})
const origin = await upstream.listen({ host: '127.0.0.1', port: 0 })
t.teardown(() => upstream.close())

/** A middleware that adds the name of its owner, and answers `/stop` itself. */
const middleware = (owner: string) => (request: IncomingMessage, response: ServerResponse, next: () => void): void => {
  response.setHeader('x-middleware', owner)
  if (request.url === '/stop') response.end(`stopped by ${owner}`)
  else next()
}
const item: FastifyPluginAsync = async scope => {
  scope.get('/item', async () => ({ item: 1 }))
  scope.get('/stop', async () => 'not stopped')
}

async function talk ({ port, headers }: Client, url: string, text: string): Promise<string[]> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}${url}`, { headers })
  const heard: string[] = []
  socket.on('message', data => heard.push(String(data)))
  await once(socket, 'message')
  socket.send(text)
  await once(socket, 'message')
  socket.close()
  await once(socket, 'close')
  return heard
}

async function chat ({ port, headers }: Client, transport: 'websocket' | 'polling', text: string): Promise<string[]> {
  // This client polls with the host of its URL, whatever headers it is given.
  const agent = new Agent({ lookup: (_host, _options, done) => done(null, '127.0.0.1', 4), autoSelectFamily: false })
  const socket = connect(`http://${headers.host}:${port}`, { transports: [transport], agent: agent as never, reconnection: false, forceNew: true })
  try {
    const welcome = await new Promise<string>((resolve, reject) => socket.on('welcome', resolve).on('connect_error', reject))
    return [welcome, await socket.emitWithAck('say', text)]
  } finally {
    socket.close()
  }
}

t.test('forwarding', async t => tryAll(t, 'forwarding', {
  // Over sockets, because Express replaces the prototype of requests and responses, which those of `inject()` do not survive.
  '@fastify/express': {
    plugin: owner => async app => {
      await app.register(express)
      app.use(middleware(owner))
    },
    routes: item,
    works: async (t, { app, headers }, owner) => {
      const { body, headers: answered } = await exchange(app, { url: '/item', headers })
      t.same([JSON.parse(body), answered['x-middleware']], [{ item: 1 }, owner])
      t.equal((await exchange(app, { url: '/stop', headers })).body, `stopped by ${owner}`)
    },
    bare: item,
    decorates: ['app.use', 'app.express'],
    absent: async (t, { app, headers }) => { t.equal((await exchange(app, { url: '/stop', headers })).body, 'not stopped') }
  },
  '@fastify/http-proxy': {
    plugin: owner => async app => {
      await app.register(httpProxy, {
        upstream: origin,
        prefix: '/up',
        rewritePrefix: '/in',
        websocket: true,
        wsClientOptions: { headers: { 'x-by': owner } },
        replyOptions: { rewriteRequestHeaders: (_request, headers) => ({ ...headers, 'x-by': owner }) }
      })
    },
    works: async (t, client, owner) => {
      const response = await client.send({ method: 'POST', url: '/up/item?a=1', payload: { b: 2 } })
      t.same([response.statusCode, response.headers['x-upstream']], [200, 'yes'])
      t.same(response.json(), { method: 'POST', url: '/in/item?a=1', body: { b: 2 }, by: owner })
      t.same(await talk(client, '/up/echo', 'hello'), [`upstream for ${owner}`, 'upstream: hello'])
    },
    absent: async (t, client) => {
      t.equal((await client.send('/up/item')).statusCode, 404)
      await t.rejects(talk(client, '/up/echo', 'hello'))
    },
    note: 'Also with `websocket: true`: open sockets close with their tenant.'
  },
  '@fastify/middie': {
    plugin: owner => async app => {
      await app.register(middie)
      app.use(middleware(owner))
      app.use('/item', (_request: IncomingMessage, response: ServerResponse, next: () => void) => {
        response.setHeader('x-path', 'item')
        next()
      })
    },
    routes: item,
    works: async (t, { send }, owner) => {
      t.match((await send('/item')).headers, { 'x-middleware': owner, 'x-path': 'item' })
      t.equal((await send('/stop')).body, `stopped by ${owner}`)
    },
    bare: item,
    decorates: ['app.use'],
    absent: async (t, { send }) => { t.equal((await send('/stop')).body, 'not stopped') }
  },
  '@fastify/reply-from': {
    plugin: owner => async app => {
      await app.register(replyFrom, { base: `${origin}/` })
      app.decorate('by', owner as never)
    },
    routes: async scope => {
      scope.all('/from/*', (request, reply) => reply.from(`/in/${(request.params as { '*': string })['*']}`, {
        rewriteRequestHeaders: (_request, headers) => ({ ...headers, 'x-by': scope.getDecorator<string>('by') })
      }))
    },
    works: async (t, { send }, owner) => {
      const response = await send({ method: 'PUT', url: '/from/item?a=1', payload: { b: 2 } })
      t.match(response.json(), { method: 'PUT', url: '/in/item?a=1', body: { b: 2 }, by: owner })
    },
    decorates: ['reply.from']
  },
  '@fastify/websocket': {
    plugin: owner => async app => {
      await app.register(websocket)
      app.decorate('by', owner as never)
    },
    routes: async scope => {
      scope.get('/socket', { websocket: true }, (socket, request) => {
        socket.send(`${request.tenantId} by ${scope.getDecorator('by')}`)
        socket.on('message', data => socket.send(`${request.tenantId}: ${String(data)}`))
      })
    },
    works: async (t, client, owner) => { t.same(await talk(client, '/socket', 'hello'), [`${client.id} by ${owner}`, `${client.id}: hello`]) },
    decorates: ['app.websocketServer', 'app.injectWS'],
    absent: async (t, client) => { await t.rejects(talk(client, '/socket', 'hello'), { message: 'Unexpected server response: 404' }) },
    note: 'Where only tenants register it, `preload` them: see the [limits](lifecycle.md#limits).'
  },
  'socket.io': {
    plugin: owner => async app => {
      const io = new SocketServer(app.server)
      io.on('connection', socket => {
        socket.emit('welcome', owner)
        socket.on('say', (text, done) => done(`${owner}: ${text}`))
      })
      app.addHook('preClose', async () => io.close())
    },
    works: async (t, client, owner) => {
      for (const transport of ['websocket', 'polling'] as const) {
        t.same(await chat(client, transport, 'hello'), [owner, `${owner}: hello`])
      }
    },
    absent: async (t, client) => {
      for (const transport of ['websocket', 'polling'] as const) await t.rejects(chat(client, transport, 'hello'))
    },
    note: 'By WebSocket and by polling. Where the app registers it, close it in `preClose`, or `app.close()` waits up to 25 s for a poll; a tenant may use `onClose` too. The app\'s socket.io answers before any tenant is known.'
  }
}))
