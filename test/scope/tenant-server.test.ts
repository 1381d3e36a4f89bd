import { EventEmitter, once } from 'node:events'
import { createServer, Server } from 'node:http'
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import t from 'tap'
import type { MultitenantOptions } from '../../index.ts'
import { as, appOf, emptyApp, inFlight, listen } from '../fixtures/http/app.ts'
import type { Teardown } from '../fixtures/http/app.ts'
import { exchange } from '../fixtures/http/exchange.ts'
import { Door, LogLines } from '../fixtures/lifecycle/app.ts'

const nothing: FastifyPluginAsync = async () => {}

/** The server of a loaded tenant. */
async function serverOf (app: FastifyInstance, id = 'acme'): Promise<FastifyInstance['server']> {
  await app.ready()
  const { app: { server } } = await app.multitenant.init(id)
  return server
}

t.test("reads like the app's server", async t => {
  const app = await listen(appOf(t, { acme: nothing }, {}, { keepAliveTimeout: 1_234, requestTimeout: 5_678, connectionTimeout: 91_011, maxRequestsPerSocket: 12 }))
  const server = await serverOf(app)
  t.ok(server instanceof Server)
  t.ok(server instanceof EventEmitter)
  for (const name of ['listening', 'timeout', 'keepAliveTimeout', 'requestTimeout', 'headersTimeout', 'maxHeadersCount', 'maxRequestsPerSocket', 'maxConnections'] as const) {
    t.equal(server[name], app.server[name], name)
  }
  t.same(server.address(), app.server.address())
  t.equal(server.ref(), server)
  t.equal(server.unref(), server)
  t.equal(await new Promise(resolve => server.getConnections((_error, count) => resolve(count))), 0)
  t.throws(() => server.listen(0), { message: 'A tenant has no server of its own: call listen() on the app' })
})

t.test("is instanceof the user's own server", async t => {
  class OwnServer extends Server {}
  const app = appOf(t, { acme: nothing }, {}, { serverFactory: handler => new OwnServer(handler) })
  t.ok(await serverOf(app) instanceof OwnServer)
})

t.test("a tenant's timeout applies only to that tenant", async t => {
  const app = await listen(appOf(t, { acme: nothing, globex: nothing }))
  const [acme, globex] = [await serverOf(app), await serverOf(app, 'globex')]
  const names = ['timeout', 'keepAliveTimeout', 'requestTimeout', 'headersTimeout', 'maxConnections'] as const
  const before = names.map(name => app.server[name])
  for (const name of names) acme[name] = 7
  t.same(names.map(name => acme[name]), [7, 7, 7, 7, 7])
  t.equal(acme.setTimeout(8, () => {}), acme)
  t.equal(acme.timeout, 8)
  t.equal(acme.listenerCount('timeout'), 1)
  t.same(names.map(name => app.server[name]), before)
  t.same(names.map(name => globex[name]), before)
  t.equal(app.server.listenerCount('timeout'), 0)
})

t.test('emits `listening` when the app listens, or after the load if it listens already', async t => {
  for (const when of ['before', 'after']) {
    const heard: string[] = []
    const app = appOf(t, {
      acme: async scope => {
        scope.server.on('listening', () => { heard.push('listening') })
        scope.addHook('onListen', async () => { heard.push('onListen') })
      }
    })
    await app.ready()
    if (when === 'before') await app.multitenant.init('acme')
    t.same(heard, [])
    await listen(app)
    await app.multitenant.init('acme')
    t.same(heard, ['listening', 'onListen'], `loaded ${when} the app listens`)
  }
})

t.test('emits `request` only for the requests of the tenant', async t => {
  const heard: string[] = []
  const hearing: FastifyPluginAsync = async (scope, options) => {
    const { id } = (options as { tenant: { id: string } }).tenant
    scope.server.on('request', (raw: IncomingMessage, rawReply: ServerResponse) => { heard.push(`${id} ${raw.url} ${rawReply.writableEnded ? 'answered' : 'open'}`) })
    scope.get('/own', (_request, reply) => { setImmediate(() => reply.send(`of ${id}`)) })
  }
  const app = appOf(t, { acme: hearing, globex: hearing, initech: nothing })
  app.get('/shared', async ({ tenantId }) => `shared by ${tenantId}`)
  app.get('/health', { config: { tenant: 'ignore' } }, async () => 'ok')
  app.get('/named', { config: { identify: 'query' } }, async ({ tenantId }) => `named ${tenantId}`)
  await listen(app)
  for (const temperature of ['cold', 'warm']) {
    for (const [url, tenant, body] of [['/own', 'acme', 'of acme'], ['/own', 'globex', 'of globex'], ['/shared', 'acme', 'shared by acme']] as const) {
      t.equal((await exchange(app, { url, tenant })).body, body)
    }
    t.equal((await exchange(app, { url: '/none', tenant: 'acme' })).status, 404)
    t.same(heard.splice(0).map(line => line.replace(/ (answered|open)$/, '')), ['acme /own', 'globex /own', 'acme /shared', 'acme /none'], temperature)
  }
  t.equal((await exchange(app, { url: '/health', tenant: 'acme' })).body, 'ok')
  t.equal((await exchange(app, { url: '/own', tenant: 'initech' })).status, 404)
  t.equal((await exchange(app, { url: '/named?tenant=acme' })).body, 'named acme', 'a route that is identified for itself is protected by that alone')
  t.same(heard, [])
})

/** Answers `/live` itself and passes everything else on, like socket.io. */
function intercepting (answer: RequestListener): FastifyPluginAsync {
  return async scope => {
    scope.get('/own', async () => 'own')
    const passOn = scope.server.listeners('request') as RequestListener[]
    scope.server.removeAllListeners('request')
    scope.server.on('request', (raw: IncomingMessage & { socket: never }, rawReply: ServerResponse<IncomingMessage> & { req: IncomingMessage }) => {
      if (raw.url === '/live' || raw.url === '/later') return answer(raw, rawReply)
      for (const listener of passOn) listener.call(scope.server, raw, rawReply)
    })
  }
}

for (const order of ['first', 'registered'] as const) {
  t.test(`a listener answers in place of the routes, with order '${order}'`, async t => {
    const log = new LogLines()
    const app = appOf(t, { acme: intercepting((_raw, rawReply) => { rawReply.end('live') }), globex: nothing }, { order }, { ...log.server, handlerTimeout: 60_000 })
    const responses: Array<string | null> = []
    app.addHook('onResponse', async ({ url, tenantId }) => { responses.push(`${url} ${tenantId}`) })
    app.get('/shared', async () => 'shared')
    await listen(app)
    for (const [url, body] of [['/live', 'live'], ['/own', 'own'], ['/shared', 'shared'], ['/live', 'live']]) {
      t.equal((await exchange(app, { url: url as string, tenant: 'acme' })).body, body)
    }
    t.equal((await exchange(app, { url: '/live', tenant: 'globex' })).status, 404)
    t.equal(await inFlight(app, 'acme'), 0)
    t.same(responses, ['/live acme', '/own acme', '/shared acme', '/live acme', '/live null'].map((line, index) => index === 4 ? '/live globex' : line))
  })
}

t.test('a listener may pass a request on later', async t => {
  const door = new Door()
  const app = appOf(t, {
    acme: async scope => {
      scope.get('/own', async () => 'own')
      const [passOn] = scope.server.listeners('request') as [RequestListener]
      scope.server.removeAllListeners('request')
      scope.server.on('request', async (raw, rawReply) => {
        await door.pass()
        passOn(raw, rawReply)
        passOn(raw, rawReply)
      })
    }
  })
  app.get('/shared', async ({ tenantId }) => `shared by ${tenantId}`)
  await listen(app)
  const answers = Promise.all(['/own', '/shared', '/none'].map(async url => {
    const { port } = app.server.address() as { port: number }
    const response = await fetch(`http://127.0.0.1:${port}${url}`, { headers: as('acme') })
    return `${response.status} ${await response.text()}`
  }))
  await door.reached
  t.ok(await inFlight(app, 'acme'))
  door.open()
  const [own, shared, none] = await answers
  t.same([own, shared], ['200 own', '200 shared by acme'])
  t.match(none, '404')
})

t.test('a listener that throws fails only that request', async t => {
  const log = new LogLines()
  const app = appOf(t, {
    acme: intercepting(() => { throw new Error('a broken listener') }),
    globex: async scope => {
      scope.server.on('request', () => { throw new Error('a broken listener') })
      scope.get('/own', async () => 'own')
    }
  }, {}, log.server)
  await listen(app)
  t.equal((await exchange(app, { url: '/live', tenant: 'acme' })).status, 500)
  t.equal((await exchange(app, { url: '/own', tenant: 'acme' })).body, 'own')
  t.equal((await exchange(app, { url: '/own', tenant: 'globex' })).body, 'own', 'one that only listens has no say')
  t.match(log.lines.filter(({ event }) => event !== undefined), [
    { tenantId: 'acme', event: 'request', err: { message: 'a broken listener' } },
    { tenantId: 'globex', event: 'request', err: { message: 'a broken listener' } }
  ])
})

t.test("a listener sees URLs without the tenant's part", async t => {
  const urls: Array<string | undefined> = []
  const app = appOf(t, {
    acme: intercepting((raw, rawReply) => {
      urls.push(raw.url)
      rawReply.end('live')
    })
  }, { identify: 'path' })
  app.get('/shared', async () => 'shared')
  await listen(app)
  t.equal((await exchange(app, { url: '/acme/live' })).body, 'live')
  t.equal((await exchange(app, { url: '/acme/own' })).body, 'own')
  t.equal((await exchange(app, { url: '/acme/shared' })).body, 'shared')
  t.same(urls, ['/live'])
})

t.test('the tenant answers a request that is emitted by hand', async t => {
  const app = appOf(t, { acme: async scope => { scope.get('/own', async ({ tenantId }) => `own of ${tenantId}`) } })
  const server = await serverOf(app)
  const gateway = createServer((raw, rawReply) => {
    try {
      server.emit('request', raw, rawReply)
    } catch (error) {
      rawReply.end((error as { code: string }).code)
    }
  })
  t.teardown(() => gateway.close())
  gateway.listen(0, '127.0.0.1')
  await once(gateway, 'listening')
  const url = `http://127.0.0.1:${(gateway.address() as { port: number }).port}/own`
  t.equal(await (await fetch(url)).text(), 'own of acme')
  await app.multitenant.suspend('acme')
  t.equal(await (await fetch(url)).text(), 'FST_TENANT_SUSPENDED')
})

/** Records when its server closes; one of its requests waits at the door. */
function closing (ran: string[], door: Door): FastifyPluginAsync {
  return async scope => {
    const { close } = scope.server
    // Like @fastify/http-proxy.
    scope.server.close = function (done) {
      ran.push('server.close')
      return close.call(this, done)
    }
    scope.server.on('close', () => { ran.push('close') })
    scope.addHook('preClose', async () => { ran.push('preClose') })
    scope.addHook('onClose', async () => { ran.push('onClose') })
    scope.get('/slow', async () => {
      await door.pass()
      ran.push('answered')
      return 'slow'
    })
  }
}

for (const end of ['unload', 'reload', 'suspend', 'close of the app', 'close of the tenant'] as const) {
  t.test(`close() is called once at the start of the drain: ${end}`, async t => {
    const ran: string[] = []
    const door = new Door()
    const app = await listen(appOf(t, { acme: closing(ran, door) }))
    const { app: tenant } = await app.multitenant.init('acme')
    const { server } = tenant
    const closed = once(server, 'close')
    const answer = exchange(app, { url: '/slow', tenant: 'acme' })
    await door.reached
    t.ok(server.listening)
    const ended = {
      unload: async () => app.multitenant.unload('acme'),
      reload: async () => (await app.multitenant.reload('acme')).drain,
      suspend: async () => app.multitenant.suspend('acme'),
      'close of the app': async () => app.close(),
      'close of the tenant': async () => tenant.close()
    }[end]()
    await closed
    t.notOk(server.listening)
    t.same(ran, ['preClose', 'server.close', 'close'])
    door.open()
    t.equal((await answer).body, 'slow')
    await ended
    t.same(ran, ['preClose', 'server.close', 'close', 'answered', 'onClose'])
  })
}

t.test('close() is called after a preClose hook has failed', async t => {
  const ran: string[] = []
  const app = appOf(t, {
    acme: async scope => {
      scope.server.on('close', () => { ran.push('close') })
      scope.addHook('preClose', async () => { throw new Error('a broken hook') })
    }
  })
  await serverOf(app)
  await app.multitenant.unload('acme')
  t.same(ran, ['close'])
})

t.test('a closed server says so, and a close listener that throws is logged', async t => {
  const log = new LogLines()
  const app = await listen(appOf(t, { acme: nothing }, {}, log.server))
  const server = await serverOf(app)
  server.on('close', () => { throw new Error('a broken listener') })
  const close = async (): Promise<unknown> => new Promise(resolve => server.close(resolve))
  t.equal(await close(), undefined)
  t.match(await close(), { code: 'ERR_SERVER_NOT_RUNNING' })
  t.equal(server.close(), server)
  await app.multitenant.unload('acme')
  t.match(log.lines.filter(({ event }) => event !== undefined), [{ tenantId: 'acme', event: 'close', err: { message: 'a broken listener' } }])
  t.ok(app.server.listening)
})

t.test("close() of a tenant's own instance", async t => {
  async function start (t: Teardown, plugin: FastifyPluginAsync = nothing, options: MultitenantOptions = {}): Promise<FastifyInstance> {
    const app = appOf(t, {
      acme: async (scope, options) => {
        scope.get('/own', async () => 'own')
        await plugin(scope, options)
      }
    }, options)
    return await listen(app)
  }

  t.test('closes the tenant, and the next request loads it again', async t => {
    let closed = 0
    const app = await start(t, async scope => { scope.addHook('onClose', async () => { closed++ }) })
    const { app: tenant } = await app.multitenant.init('acme')
    t.equal(await tenant.close(), undefined)
    t.equal(app.multitenant.get('acme'), null)
    t.equal(closed, 1)
    t.equal((await exchange(app, { url: '/own', tenant: 'acme' })).body, 'own')
    const next = app.multitenant.get('acme')
    t.not(next?.app, tenant)
    await tenant.close()
    t.equal(app.multitenant.get('acme'), next, 'one that has ended ends nobody else')
  })

  t.test('calls back, also from a nested plugin', async t => {
    const instances: FastifyInstance[] = []
    const app = await start(t, async scope => { await scope.register(async below => { instances.push(below) }) })
    await app.multitenant.init('acme')
    await new Promise<void>(resolve => { t.equal(instances[0]?.close(resolve), undefined) })
    t.equal(app.multitenant.get('acme'), null)
  })

  t.test('closes a tenant that calls it while it loads', async t => {
    const ended: Array<Promise<unknown>> = []
    const app = await start(t, async scope => { if (ended.length === 0) ended.push(scope.close() as unknown as Promise<unknown>) })
    t.ok(await app.multitenant.init('acme'))
    await Promise.all(ended)
    t.equal((await exchange(app, { url: '/own', tenant: 'acme' })).body, 'own')
  })

  t.test('waits for a close that has begun', async t => {
    const door = new Door()
    const order: string[] = []
    const app = await start(t, async scope => {
      scope.get('/slow', async () => {
        await door.pass()
        order.push('answered')
        return 'slow'
      })
    })
    const { app: tenant } = await app.multitenant.init('acme')
    const answer = exchange(app, { url: '/slow', tenant: 'acme' })
    await door.reached
    const drained = app.multitenant.unload('acme')
    const closed = tenant.close().then(() => order.push('closed'))
    door.open()
    t.equal((await answer).body, 'slow')
    t.match(await drained, { drained: true })
    await closed
    t.same(order, ['answered', 'closed'])
  })

  t.test('may be called by its own onClose hook', async t => {
    const closings: Array<Promise<unknown>> = []
    const app = await start(t, async scope => { scope.addHook('onClose', async () => { closings.push(scope.close() as unknown as Promise<unknown>) }) })
    await app.multitenant.init('acme')
    t.match(await app.multitenant.unload('acme'), { drained: true })
    await Promise.all(closings)
    t.equal(closings.length, 1)
  })
})

t.test('negative control: a child of a plain Fastify app closes the whole app', async t => {
  const app = emptyApp(t)
  const children: FastifyInstance[] = []
  app.register(async child => { children.push(child) })
  await listen(app)
  await children[0]?.close()
  t.notOk(app.server.listening)
})
