import { once as event } from 'node:events'
import { Agent } from 'node:http'
import { connect } from 'node:http2'
import type { ClientHttp2Session, IncomingHttpHeaders, IncomingHttpStatusHeader } from 'node:http2'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import Fastify from 'fastify'
import t from 'tap'
import type { FastifyPluginAsync, FastifyRequest } from 'fastify'
import multitenant from '../../index.ts'
import { Door } from '../fixtures/door.ts'
import { appOf, as, emptyApp, inFlight, listen, tenants } from '../fixtures/http/app.ts'
import { exchange } from '../fixtures/http/exchange.ts'
import { ANSWERED, once, recordHooks } from '../fixtures/http/hooks.ts'
import { until } from '../fixtures/lifecycle/app.ts'

t.test('connections', async t => {
  t.test('a kept-alive connection serves two tenants in turn', async t => {
    const socketOf: FastifyPluginAsync = async scope => {
      scope.get('/own', async request => ({ tenant: request.tenantId, port: request.socket.remotePort }))
    }
    const app = appOf(t, { acme: socketOf, globex: socketOf })
    app.get('/shared', async request => ({ tenant: request.tenantId, port: request.socket.remotePort }))
    await listen(app)
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    t.teardown(async () => agent.destroy())
    const seen: unknown[] = []
    const ports = new Set<number>()
    for (const [tenant, url] of [['acme', '/own'], ['globex', '/own'], ['acme', '/shared'], ['globex', '/shared'], ['acme', '/own']] as const) {
      const answer = JSON.parse((await exchange(app, { url, tenant, agent })).body)
      seen.push(answer.tenant)
      ports.add(answer.port)
    }
    t.strictSame(seen, ['acme', 'globex', 'acme', 'globex', 'acme'])
    t.equal(ports.size, 1)
    t.equal(await inFlight(app, 'acme'), 0)
    t.equal(await inFlight(app, 'globex'), 0)
  })

  t.test('idle connections do not keep the app from closing', async t => {
    const app = appOf(t, { acme: async scope => { scope.get('/own', async () => 'acme') } }, {}, { forceCloseConnections: true })
    await listen(app)
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    t.teardown(async () => agent.destroy())
    await exchange(app, { url: '/own', tenant: 'acme', agent })
    await app.close()
    t.equal(app.server.listening, false)
  })

  t.test('HTTP/2', async t => {
    const gate = new Door()
    const app = Fastify({ http2: true })
    const ran: string[] = []
    app.addHook('onRequest', async request => { ran.push(`${request.tenantId} ${request.routeOptions.url ?? '404'}`) })
    app.register(multitenant, {
      tenants: tenants({
        acme: async scope => {
          scope.get('/own', async request => ({ tenant: request.tenantId, version: request.raw.httpVersion }))
          scope.post('/echo', async request => request.body)
          scope.get('/stream', async (_request, reply) => reply.send(Readable.from(['a', 'b', 'c'])))
          scope.get('/waits', async () => await gate.pass())
        }
      })
    })
    app.get('/shared', async request => ({ tenant: request.tenantId }))
    const address = await app.listen({ host: '127.0.0.1', port: 0 })
    const client = connect(address)
    t.teardown(async () => {
      client.close()
      await app.close()
    })
    const get = async (path: string, headers = {}, body = ''): Promise<[number | undefined, string]> => await ask2(client, { ':path': path, ...headers }, body)

    t.strictSame(await get('/own', as('acme')), [200, '{"tenant":"acme","version":"2.0"}'])
    t.strictSame(await get('/echo', { ...as('acme'), ':method': 'POST', 'content-type': 'application/json' }, '{"a":1}'), [200, '{"a":1}'])
    t.strictSame(await get('/stream', as('acme')), [200, 'abc'])
    t.strictSame(await get('/shared', as('acme')), [200, '{"tenant":"acme"}'])
    t.equal((await get('/nowhere', as('acme')))[0], 404)
    t.equal((await get('/own', as('initech')))[0], 404)
    t.strictSame(ran, ['acme /own', 'acme /echo', 'acme /stream', 'acme /shared', 'acme 404', 'initech 404'])

    const responseClosed = new Promise(resolve => app.server.once('request', (_raw, reply) => { reply.once('close', resolve) }))
    const leaving = client.request({ ':path': '/waits', ...as('acme') })
    leaving.on('error', () => {})
    await gate.reached
    t.equal((await app.multitenant.stats()).tenants[0]?.inFlight, 1)
    leaving.close(8)
    await responseClosed
    t.equal((await app.multitenant.stats()).tenants[0]?.inFlight, 1, 'the handler goes on')
    gate.open()
    await until(async () => (await app.multitenant.stats()).tenants[0]?.inFlight === 0)
  })

  t.test('an HTTP/2 client may leave while its tenant loads', async t => {
    const loading = new Door()
    const app = Fastify({ http2: true })
    app.register(multitenant, {
      tenants: tenants({
        acme: async scope => {
          await loading.pass()
          scope.get('/own', async () => 'acme')
        }
      })
    })
    const client = connect(await app.listen({ host: '127.0.0.1', port: 0 }))
    t.teardown(async () => {
      client.close()
      await app.close()
    })
    const closed = new Promise(resolve => app.server.once('request', (_raw, reply) => { reply.once('close', resolve) }))
    const leaving = client.request({ ':path': '/own', ...as('acme') })
    leaving.on('error', () => {})
    await loading.reached
    leaving.close(8)
    await closed
    loading.open()
    await app.multitenant.init('acme')
    t.strictSame(await ask2(client, { ':path': '/own', ...as('acme') }, ''), [200, 'acme'])
    t.match(await app.multitenant.unload('acme'), { drained: true })
  })
})

t.test('the path strategy', async t => {
  const shows = async (request: FastifyRequest): Promise<object> => ({
    url: request.url, originalUrl: request.originalUrl, raw: request.raw.url, query: request.query, params: request.params, tenant: request.tenantId, route: request.routeOptions.url
  })
  const app = emptyApp(t)
  const ran = recordHooks(app)
  app.register(multitenant, { identify: 'path', tenants: tenants({ acme: async scope => { scope.get('/users/:id', shows) } }) })
  app.get('/shared/:id', shows)
  app.get('/fallback/*', shows)
  await listen(app)

  t.test("gives the tenant's route the URL without the tenant, and the whole as originalUrl", async t => {
    ran.length = 0
    const { body } = await exchange(app, { url: '/acme/users/1?a=b' })
    t.strictSame(JSON.parse(body), {
      url: '/users/1?a=b', originalUrl: '/acme/users/1?a=b', raw: '/users/1?a=b', query: { a: 'b' }, params: { id: '1' }, tenant: 'acme', route: '/users/:id'
    })
    t.strictSame(ran, once(ANSWERED, '/users/:id'))
  })

  t.test("gives the app's routes the URL without the tenant, and runs each hook once", async t => {
    ran.length = 0
    const { body } = await exchange(app, { url: '/acme/shared/1?a=b' })
    t.strictSame(JSON.parse(body), {
      url: '/shared/1?a=b', originalUrl: '/acme/shared/1?a=b', raw: '/shared/1?a=b', query: { a: 'b' }, params: { id: '1' }, tenant: 'acme', route: '/shared/:id'
    })
    t.strictSame(ran, once(ANSWERED, '/shared/:id'))
    t.equal(await inFlight(app, 'acme'), 0)
  })

  t.test('keeps the URL of a request without a tenant', async t => {
    const { body } = await exchange(app, { url: '/shared/1' })
    t.match(JSON.parse(body), { url: '/shared/1', originalUrl: '/shared/1', tenant: null })
  })

  t.test('answers with 404 for a URL that nobody has', async t => {
    ran.length = 0
    const { status } = await exchange(app, { url: '/acme/nowhere' })
    t.equal(status, 404)
    t.strictSame(ran, once(ANSWERED, '404'))
  })

  t.test('refuses an unknown tenant', async t => {
    const { status, body } = await exchange(app, { url: '/initech/shared/1' })
    t.equal(status, 404)
    t.match(JSON.parse(body), { code: 'FST_TENANT_NOT_FOUND' })
  })
})

t.test("every request in a tenant's scope has the tenant", async t => {
  const own: FastifyPluginAsync = async scope => {
    scope.get('/who', async request => [request.tenantId, request.tenant?.id])
  }
  const lines: string[] = []
  const app = appOf(t, {
    acme: own,
    globex: async (scope, options) => {
      scope.setNotFoundHandler(async (request, reply) => {
        reply.code(404)
        return `globex has no ${request.url}, ${request.tenantId}`
      })
      await own(scope, options)
    }
  }, {}, { logger: { stream: { write: (line: string) => { lines.push(line) } } } })
  const hooked: Array<string | null> = []
  app.addHook('onRequest', async request => { hooked.push(request.tenantId) })
  await app.ready()
  const acme = await app.multitenant.init('acme')
  const globex = await app.multitenant.init('globex')

  t.test('tenant.app.inject() has the tenant, whatever the headers say', async t => {
    hooked.length = 0
    for (const headers of [{}, as('globex'), as('initech'), as('../..')]) {
      t.strictSame((await acme.app.inject({ url: '/who', headers })).json(), ['acme', 'acme'])
    }
    t.strictSame((await globex.app.inject({ url: '/who', headers: as('acme') })).json(), ['globex', 'globex'])
    t.strictSame(hooked, ['acme', 'acme', 'acme', 'acme', 'globex'])
  })

  t.test('unknown URLs have the tenant too', async t => {
    hooked.length = 0
    const answer = await acme.app.inject({ url: '/nowhere', headers: as('globex') })
    t.equal(answer.statusCode, 404)
    t.strictSame(answer.json(), { message: 'Route GET:/nowhere not found', error: 'Not Found', statusCode: 404 })
    const post = await acme.app.inject({ method: 'POST', url: '/nowhere', payload: { a: 1 } })
    t.equal(post.statusCode, 404)
    const own = await globex.app.inject({ url: '/nowhere', headers: as('acme') })
    t.equal(own.statusCode, 404)
    t.equal(own.body, 'globex has no /nowhere, globex')
    t.strictSame(hooked, ['acme', 'acme', 'globex'])
    t.notMatch(lines.join(''), 'fastify bug')
  })

  t.test('a request that the app hands over and that matches no route has the tenant', async t => {
    for (const id of ['acme', 'globex']) {
      const answer = await app.inject({ url: '/nowhere', headers: as(id) })
      t.equal(answer.statusCode, 404)
    }
    t.notMatch(lines.join(''), 'fastify bug')
  })

  t.test('concurrent requests of several tenants are kept apart', async t => {
    const ids = Array.from({ length: 50 }, (_, n) => n % 2 === 0 ? 'acme' : 'globex')
    const answers = await Promise.all(ids.map(async id => (await app.inject({ url: '/who', headers: as(id) })).json()))
    t.strictSame(answers, ids.map(id => [id, id]))
  })
})

async function ask2 (client: ClientHttp2Session, headers: Record<string, string>, body: string): Promise<[number | undefined, string]> {
  const stream = client.request(headers, { endStream: body === '' })
  const responded = event(stream, 'response')
  if (body !== '') stream.end(body)
  const [head]: Array<IncomingHttpHeaders & IncomingHttpStatusHeader> = await responded
  return [head?.[':status'], await text(stream)]
}
