import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import httpProxy from '@fastify/http-proxy'
import websocket from '@fastify/websocket'
import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import t from 'tap'
import multitenant from '../../index.ts'
import { appOf, emptyApp, inFlight, listen, tenants } from '../fixtures/http/app.ts'
import type { Teardown } from '../fixtures/http/app.ts'
import { exchange } from '../fixtures/http/exchange.ts'
import { Door, LogLines } from '../fixtures/lifecycle/app.ts'

const WEBSOCKET = 'connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n'

const head = (url: string, tenant: string | null, rest = ''): string =>
  `GET ${url} HTTP/1.1\r\nhost: a\r\n${tenant === null ? '' : `x-tenant-id: ${tenant}\r\n`}${rest}\r\n`

/** A connection on which several requests are sent at once. */
class Client {
  readonly socket: Socket
  readonly closed: Promise<unknown>
  #heard = ''

  constructor (t: Teardown, port: number, host = '127.0.0.1') {
    this.socket = connect({ port, host })
    this.socket.on('error', () => {})
    this.socket.on('data', data => { this.#heard += data })
    this.closed = once(this.socket, 'close')
    t.teardown(async () => this.socket.destroy())
  }

  /** Waits until the server has sent this text. */
  async hears (what: string | RegExp): Promise<string> {
    while (this.#heard.search(what) === -1) await once(this.socket, 'data')
    return this.#heard
  }

  get statuses (): string[] {
    return [...this.#heard.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => String(status))
  }

  send (...requests: string[]): void {
    this.socket.write(requests.join(''))
  }
}

function portOf (app: FastifyInstance): number {
  return (app.server.address() as { port: number }).port
}

const echo: FastifyPluginAsync = async scope => {
  scope.get('/echo', { websocket: true }, (socket, request) => { socket.send(`upgraded for ${request.tenantId}`) })
}

const echoing: FastifyPluginAsync = async (scope, options) => {
  await scope.register(websocket)
  await echo(scope, options)
}

/** Writes to the socket itself which upgrade has arrived. */
const raw: FastifyPluginAsync = async (scope, options) => {
  const { id } = (options as { tenant: { id: string } }).tenant
  scope.server.on('upgrade', (request: IncomingMessage, socket: Socket) => { socket.end(`HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: own\r\n\r\n${id} ${request.url}`) })
  scope.get('/own', async () => 'own')
}

t.test('an upgrade behind an unanswered request does not end the process', async t => {
  const child = spawn(process.execPath, [...process.execArgv, join(import.meta.dirname, '../fixtures/http/upgrading.ts')], { stdio: ['pipe', 'pipe', 'pipe'] })
  t.teardown(() => child.kill('SIGKILL'))
  const [errors, exited] = [text(child.stderr), once(child, 'exit')]
  const [line] = await Promise.race([once(child.stdout, 'data'), exited]) as [Buffer]
  const client = new Client(t, Number(line))
  client.send(head('/slow', 'acme'), head('/echo', 'acme', WEBSOCKET))
  await Promise.race([client.hears('upgraded'), exited])
  t.same(client.statuses, ['200', '101'])
  client.socket.destroy()
  child.stdin.end()
  t.same(await exited, [0, null], await errors)
})

t.test('an upgrade waits for the answers before it', async t => {
  async function start (t: Teardown): Promise<{ app: FastifyInstance, door: Door, client: Client }> {
    const door = new Door()
    const app = await listen(appOf(t, {
      acme: async (scope, options) => {
        await echoing(scope, options)
        scope.get('/slow', async (request, reply) => {
          await door.pass()
          if (request.headers['x-last'] !== undefined) reply.header('connection', 'close')
          return 'slow'
        })
        scope.get('/large', async () => Readable.from(Array.from({ length: 64 }, () => Buffer.alloc(65_536, 'x'))))
      }
    }, { drainTimeout: 30_000 }))
    await app.multitenant.init('acme')
    return { app, door, client: new Client(t, portOf(app)) }
  }

  t.test('to several requests', async t => {
    const { app, door, client } = await start(t)
    client.send(head('/slow', 'acme'), head('/none', 'acme'), head('/slow', 'acme'), head('/echo', 'acme', WEBSOCKET))
    await door.reached
    t.same(client.statuses, [])
    door.open()
    await client.hears('upgraded for acme')
    t.same(client.statuses, ['200', '404', '200', '101'])
    t.equal(await inFlight(app, 'acme'), 1)
    client.socket.destroy()
  })

  t.test('to one that is larger than a socket buffers', async t => {
    const { client } = await start(t)
    client.send(head('/large', 'acme'), head('/echo', 'acme', WEBSOCKET))
    await client.hears('upgraded for acme')
    t.same(client.statuses, ['200', '101'])
    client.socket.destroy()
  })

  t.test('and is not answered if the first request closes the connection', async t => {
    const { app, door, client } = await start(t)
    client.send(head('/slow', 'acme', 'x-last: yes\r\n'), head('/echo', 'acme', WEBSOCKET))
    await door.reached
    door.open()
    await client.closed
    t.same(client.statuses, ['200'])
    t.equal(await inFlight(app, 'acme'), 0)
  })

  t.test('and ends if the client has left', async t => {
    const { app, door, client } = await start(t)
    const [connection] = await once(app.server, 'connection') as [Socket]
    client.send(head('/slow', 'acme'), head('/echo', 'acme', WEBSOCKET))
    await door.reached
    const closed = new Promise(resolve => connection.once('close', resolve))
    client.socket.destroy()
    await client.closed
    door.open()
    await closed
    t.match(await app.multitenant.unload('acme'), { drained: true })
  })
})

t.test("an upgrade that the app's @fastify/websocket does not take reaches its tenant", async t => {
  const door = new Door()
  const app = emptyApp(t)
  await app.register(websocket)
  app.register(multitenant, {
    tenants: tenants({
      acme: async (scope, options) => {
        await echo(scope, options)
        scope.get('/slow', async () => {
          await door.pass()
          return 'slow'
        })
      },
      globex: raw
    })
  })
  await listen(app)
  // From here on, listeners see upgrades before the app's plugin does.
  await app.multitenant.init('globex')
  const client = new Client(t, portOf(app))
  client.send(head('/slow', 'acme'), head('/echo', 'acme', WEBSOCKET))
  await door.reached
  door.open()
  await client.hears('upgraded for acme')
  t.same(client.statuses, ['200', '101'])
  client.socket.destroy()
})

t.test('a tenant takes upgrades beside listeners of the app that ignore them', async t => {
  const app = emptyApp(t)
  const upstream = await listen(emptyApp(t))
  app.server.on('upgrade', (request: IncomingMessage, socket: Socket) => { if (request.url === '/taken') socket.end('HTTP/1.1 418 Taken\r\n\r\n') })
  await app.register(httpProxy, { upstream: `http://127.0.0.1:${portOf(upstream)}`, prefix: '/up', websocket: true })
  app.register(multitenant, { tenants: tenants({ acme: echoing, globex: raw }) })
  await listen(app)
  await app.multitenant.init('acme')
  await app.multitenant.init('globex')
  const acme = new Client(t, portOf(app))
  acme.send(head('/echo', 'acme', WEBSOCKET))
  await acme.hears('upgraded for acme')
  const globex = new Client(t, portOf(app))
  globex.send(head('/nowhere', 'globex', WEBSOCKET))
  await globex.hears('globex /nowhere')
  const taken = new Client(t, portOf(app))
  taken.send(head('/taken', 'globex', WEBSOCKET))
  await taken.closed
  t.same(taken.statuses, ['418'])
  acme.socket.destroy()
})

t.test('an upgrade that matches no route is offered to the tenant that it identifies', async t => {
  const app = appOf(t, { acme: raw, globex: raw, initech: async scope => { scope.get('/own', async () => 'own') } })
  app.get('/shared', async () => 'shared')
  app.get('/pages/*', async () => 'a page')
  app.get('/named/*', { config: { identify: 'query' } }, async ({ tenantId }) => `named ${tenantId}`)
  await listen(app)
  await app.multitenant.init('acme')
  await app.multitenant.init('globex')
  const ask = async (url: string, tenant: string | null, expected: string): Promise<void> => {
    const client = new Client(t, portOf(app))
    client.send(head(url, tenant, 'connection: upgrade\r\nupgrade: own\r\n'))
    t.match(await client.hears(expected), expected, `${url} of ${tenant}`)
    client.socket.destroy()
  }
  await ask('/own', 'acme', 'acme /own')
  await ask('/nowhere', 'acme', 'acme /nowhere')
  await ask('/nowhere', 'globex', 'globex /nowhere')
  await ask('/pages/1', 'acme', 'acme /pages/1')
  await ask('/shared', 'acme', 'shared')
  await ask('/nowhere', 'initech', '404 Not Found')
  await ask('/nowhere', null, '404 Not Found')
  await ask('/named/1?tenant=acme', null, 'named acme')
})

t.test('a listener for upgrades that throws closes only that connection', async t => {
  const log = new LogLines()
  const app = appOf(t, {
    acme: async scope => {
      scope.server.on('upgrade', () => { throw new Error('a broken listener') })
      scope.get('/own', async () => 'own')
    }
  }, {}, log.server)
  await listen(app)
  await app.multitenant.init('acme')
  const client = new Client(t, portOf(app))
  client.send(head('/own', 'acme', WEBSOCKET))
  await client.closed
  t.match(log.lines.filter(({ event }) => event === 'upgrade'), [{ tenantId: 'acme', err: { message: 'a broken listener' } }])
  t.equal((await exchange(app, { url: '/own', tenant: 'acme' })).body, 'own')
  t.equal(await inFlight(app, 'acme'), 0)
})

t.test('an upgrade whose request id cannot be made closes only that connection', async t => {
  const log = new LogLines()
  const app = appOf(t, { acme: raw }, {}, {
    ...log.server,
    genReqId: ({ headers }) => {
      if (headers.upgrade !== undefined) throw new Error('no id')
      return '1'
    }
  })
  await listen(app)
  await app.multitenant.init('acme')
  const client = new Client(t, portOf(app))
  client.send(head('/own', 'acme', WEBSOCKET))
  await client.closed
  t.match(log.of('an upgrade could not be routed'), [{ err: { message: 'no id' } }])
  t.equal((await exchange(app, { url: '/own', tenant: 'acme' })).body, 'own')
})

t.test('requests and upgrades of tenants arrive at every address of localhost', async t => {
  const heard: string[] = []
  const app = appOf(t, {
    acme: async (scope, options) => {
      await raw(scope, options)
      scope.server.on('request', ({ url }: IncomingMessage) => { heard.push(String(url)) })
    }
  })
  await app.listen({ host: 'localhost', port: 0 })
  await app.multitenant.init('acme')
  for (const { address, port } of app.addresses() as Array<{ address: string, port: number }>) {
    const upgraded = new Client(t, port, address)
    upgraded.send(head('/nowhere', 'acme', WEBSOCKET))
    await upgraded.hears('acme /nowhere')
    const plain = new Client(t, port, address)
    plain.send(head('/own', 'acme', 'connection: close\r\n'))
    await plain.hears(/own$/)
    t.same(heard.splice(0), ['/own'], address)
  }
})
