import { once } from 'node:events'
import { Agent, IncomingMessage, ServerResponse, createServer } from 'node:http'
import { Socket } from 'node:net'
import t from 'tap'
import type { FastifyInstance, FastifyPluginAsync, FastifyRequest, FastifyServerOptions } from 'fastify'
import multitenant, { FST_TENANT_INVALID_ID, HeaderStrategy, TenantIdentificationStrategy } from '../../index.ts'
import type { MultitenantOptions } from '../../index.ts'
import { Door } from '../fixtures/door.ts'
import { appOf, emptyApp, listen } from '../fixtures/http/app.ts'
import type { Teardown } from '../fixtures/http/app.ts'
import { ask, exchange, read } from '../fixtures/http/exchange.ts'

/** Records where it is asked: before the app has routed the request, or in the hook. */
class NotingStrategy extends TenantIdentificationStrategy {
  readonly doors: string[] = []
  override readonly readsHeadOnly: boolean

  constructor (readsHeadOnly = true) {
    super()
    this.readsHeadOnly = readsHeadOnly
  }

  override extractTenantId (request: FastifyRequest): string | undefined {
    this.doors.push(request.id === undefined ? 'listener' : 'hook')
    const id = request.headers['x-tenant-id']
    if (id === 'rubbish') throw new FST_TENANT_INVALID_ID()
    return id as string | undefined
  }
}

const acme: FastifyPluginAsync = async scope => {
  scope.get('/own', async () => 'of acme')
  scope.get('/users/:id', async request => `user ${(request.params as { id: string }).id} of acme`)
  scope.get('/files/*', async () => 'file of acme')
}

interface Prepared { app: FastifyInstance, doors: string[] }

/** An app with acme loaded; `routes` adds the app's own routes. */
async function prepare (t: Teardown, routes: (app: FastifyInstance) => void = () => {}, options: MultitenantOptions = {}, server: FastifyServerOptions = {}): Promise<Prepared> {
  const strategy = new NotingStrategy()
  const app = appOf(t, { acme }, { identify: strategy, ...options }, server)
  routes(app)
  await listen(app)
  await app.multitenant.init('acme')
  return { app, doors: strategy.doors }
}

t.test('a request to a route of a loaded tenant is identified once, before the app routes it', async t => {
  const { app, doors } = await prepare(t)
  t.match(await exchange(app, { url: '/own', tenant: 'acme' }), { status: 200, body: 'of acme' })
  t.match(await exchange(app, { url: '/users/7?full', tenant: 'acme' }), { status: 200, body: 'user 7 of acme' })
  t.same(doors, ['listener', 'listener'])
  t.match(await app.multitenant.stats(), { tenants: [{ id: 'acme', requests: 2, inFlight: 0 }] })
})

t.test('the identification of the listener is reused for a request that the app answers', async t => {
  const { app, doors } = await prepare(t, app => { app.get('/shared', async request => `shared, for ${request.tenantId}`) })
  t.match(await exchange(app, { url: '/shared', tenant: 'acme' }), { status: 200, body: 'shared, for acme' })
  t.same(doors, ['listener'])
})

t.test('the hook handles what the listener leaves', async t => {
  const cases: Array<[what: string, url: string, tenant: string | undefined]> = [
    ['a request that names nobody', '/shared', undefined],
    ['a request of an unknown tenant', '/own', 'nobody'],
    ['an id that the strategy refuses', '/own', 'rubbish'],
    ['an URL that is no URL', '/%zz', 'acme'],
    ['a parameter that is too long', `/users/${'x'.repeat(200)}`, 'acme'],
    ['an URL that nobody has', '/nowhere', 'acme']
  ]
  for (const [what, url, tenant] of cases) {
    t.test(what, async t => {
      const { app } = await prepare(t, app => { app.get('/shared', async () => 'shared') })
      const injected = await app.inject({ url, headers: tenant === undefined ? {} : { 'x-tenant-id': tenant } })
      const answer = await exchange(app, { url, ...(tenant !== undefined && { tenant }) })
      t.equal(answer.status, injected.statusCode)
      t.equal(answer.body.replace(/"reqId":"[^"]*"/, ''), injected.body, 'as for an injected request, which no server has received')
    })
  }

  t.test('a tenant that is not loaded is left to the hook', async t => {
    const { app, doors } = await prepare(t)
    await app.multitenant.unload('acme')
    t.match(await exchange(app, { url: '/own', tenant: 'acme' }), { status: 200, body: 'of acme' })
    t.same(doors, ['listener', 'hook'])
  })

  t.test('a tenant with maxInFlight requests is left to the hook', async t => {
    const gate = new Door()
    const app = appOf(t, {
      acme: async scope => {
        scope.get('/slow', async () => {
          await gate.pass()
          return 'over'
        })
      }
    }, { maxInFlight: 1 })
    await listen(app)
    await app.multitenant.init('acme')
    const first = exchange(app, { url: '/slow', tenant: 'acme' })
    await gate.reached
    const agent = new Agent()
    const second = ask(app, { url: '/slow', tenant: 'acme', agent }).end()
    const [incoming] = await once(second, 'response')
    t.match(await read(incoming), { status: 503, body: /FST_TENANT_BUSY/ })
    agent.destroy()
    gate.open()
    t.match(await first, { status: 200 })
  })
})

t.test('a route of the app with override: false answers first', async t => {
  const cases: Array<[kept: string, url: string, own: string]> = [
    ['/own', '/own', '/own'],
    ['/users/me', '/users/me', '/users/:id'],
    ['/users/:name', '/users/7', '/users/:id'],
    ['/users/*', '/users/7', '/users/:id'],
    ['/OWN/', '/own/', '/own']
  ]
  const insensitive = { routerOptions: { caseSensitive: false, ignoreTrailingSlash: true } }
  for (const [kept, url, own] of cases) {
    const of = (config: object): Promise<Prepared> => prepare(t, app => { app.get(kept, { config }, async () => 'of the app') }, {}, insensitive)
    t.test(`${kept} before ${own}`, async t => {
      const { app, doors } = await of({ tenant: 'ignore' })
      t.equal((await exchange(app, { url, tenant: 'acme' })).body, 'of the app')
      t.same(doors, ['listener'])
      const { app: control } = await of({})
      const { body } = await exchange(control, { url, tenant: 'acme' })
      t.match(body, /of acme/, "without the rule the tenant's route is the first")
    })
  }

  t.test('only such a route leaves the fast path', async t => {
    const { app, doors } = await prepare(t, app => { app.get('/health', { config: { tenant: 'ignore' } }, async () => 'of the app') })
    t.equal((await exchange(app, { url: '/own', tenant: 'acme' })).body, 'of acme')
    t.same(doors, ['listener'])
  })
})

t.test("the app's own route comes before the tenant's wildcard", async t => {
  const { app } = await prepare(t, app => { app.get('/files/list', async () => 'of the app') })
  t.equal((await exchange(app, { url: '/files/list', tenant: 'acme' })).body, 'of the app')
  t.equal((await exchange(app, { url: '/files/a', tenant: 'acme' })).body, 'file of acme')
})

t.test('all requests go by the hook if something stands between the server and the hook', async t => {
  t.test('hooks that run before it', async t => {
    const { app, doors } = await prepare(t, () => {}, { order: 'registered' })
    t.equal((await exchange(app, { url: '/own', tenant: 'acme' })).body, 'of acme')
    t.same(doors, ['hook'])
  })

  t.test('a rewritten URL', async t => {
    const { app, doors } = await prepare(t, () => {}, {}, { rewriteUrl: ({ url }) => (url as string).replace('/old', '/own') })
    t.equal((await exchange(app, { url: '/old', tenant: 'acme' })).body, 'of acme')
    t.same(doors, ['hook'])
  })

  t.test('a server that the user has made', async t => {
    const { app, doors } = await prepare(t, () => {}, {}, { serverFactory: handler => createServer(handler) })
    t.equal((await exchange(app, { url: '/own', tenant: 'acme' })).body, 'of acme')
    t.same(doors, ['hook'])
  })

  t.test('another listener for requests', async t => {
    let heard = 0
    const { app, doors } = await prepare(t, app => { app.server.on('request', () => { heard++ }) })
    t.equal((await exchange(app, { url: '/own', tenant: 'acme' })).body, 'of acme')
    t.same(doors, ['hook'])
    t.equal(heard, 1)
  })

  t.test("a part of the app that is not the plugin's", async t => {
    const strategy = new NotingStrategy()
    const app = emptyApp(t)
    app.register(async part => {
      part.register(multitenant, { tenants: { acme: { plugin: acme } }, identify: strategy })
    }, { prefix: '/part' })
    await listen(app)
    t.equal((await exchange(app, { url: '/part/own', tenant: 'acme' })).body, 'of acme')
    t.equal((await exchange(app, { url: '/part/own', tenant: 'acme' })).body, 'of acme')
    t.same(strategy.doors, ['hook', 'hook'])
  })

  t.test('a strategy that reads more than the head', async t => {
    const strategy = new NotingStrategy(false)
    const { app } = await prepare(t, () => {}, { identify: strategy })
    t.equal((await exchange(app, { url: '/own', tenant: 'acme' })).body, 'of acme')
    t.same(strategy.doors, ['hook'])
  })

  t.test('a subclass, which may read more than the head', async t => {
    class FromQuery extends HeaderStrategy {
      override extractTenantId (request: FastifyRequest): ReturnType<HeaderStrategy['extractTenantId']> {
        return (request.query as { tenant?: string } | undefined)?.tenant ?? super.extractTenantId(request)
      }
    }
    const { app } = await prepare(t, () => {}, { identify: new FromQuery() })
    t.equal((await exchange(app, { url: '/own?tenant=nobody', tenant: 'acme' })).status, 404, 'the query is what counts')
  })

  t.test('a constraint that is checked asynchronously', async t => {
    const strategy = new NotingStrategy()
    const constraint = {
      name: 'later',
      storage: () => {
        const handlers = new Map<unknown, unknown>()
        return { get: (key: unknown) => handlers.get(key) ?? null, set: (key: unknown, store: unknown) => { handlers.set(key, store) } }
      },
      deriveConstraint: (raw: { headers: Record<string, unknown> }, _context: unknown, done: (error: null, value: unknown) => void) => {
        setImmediate(done, null, raw.headers['x-later'])
      }
    }
    const app = appOf(t, {
      acme: async scope => { scope.get('/own', { constraints: { later: 'yes' } }, async () => 'of acme') }
    }, { identify: strategy }, { routerOptions: { constraints: { later: constraint as never } } })
    await listen(app)
    await app.multitenant.init('acme')
    t.equal((await exchange(app, { url: '/own', tenant: 'acme', headers: { 'x-later': 'yes' } })).body, 'of acme')
  })
})

t.test('a constraint of a tenant that throws fails only that request', async t => {
  const strategy = {
    name: 'broken',
    storage: () => {
      const handlers = new Map<unknown, unknown>()
      return { get: (key: unknown) => handlers.get(key) ?? null, set: (key: unknown, store: unknown) => { handlers.set(key, store) } }
    },
    deriveConstraint: (raw: IncomingMessage) => {
      if (raw.headers['x-broken'] !== undefined) throw new Error('broken')
      return raw.headers['x-version']
    }
  }
  const app = appOf(t, {
    acme: async scope => {
      scope.addConstraintStrategy(strategy as never)
      scope.get('/own', { constraints: { broken: 'one' } }, async () => 'of acme')
    }
  })
  await listen(app)
  await app.multitenant.init('acme')
  t.match(await exchange(app, { url: '/own', tenant: 'acme', headers: { 'x-broken': 'yes' } }), { status: 500 })
  t.match(await exchange(app, { url: '/own', tenant: 'acme', headers: { 'x-version': 'one' } }), { status: 200, body: 'of acme' })
  t.match(await app.multitenant.stats(), { tenants: [{ inFlight: 0 }] })
})

t.test('an app that closes answers by itself', async t => {
  const gate = new Door()
  const { app, doors } = await prepare(t, app => { app.addHook('preClose', () => gate.pass()) })
  const closing = app.close()
  await gate.reached
  t.match(await exchange(app, { url: '/own', tenant: 'acme' }), { status: 503, headers: { connection: 'close' } })
  t.same(doors, [])
  gate.open()
  await closing
})

t.test('a tenant whose route throws on entry fails only that request', async t => {
  const app = appOf(t, {
    acme: async scope => {
      scope.get('/broken', { childLoggerFactory: () => { throw new Error('broken') } } as object, async () => 'never')
      scope.get('/own', async () => 'of acme')
    }
  }, {}, { logger: { level: 'silent' } })
  await listen(app)
  await app.multitenant.init('acme')
  const broken = await exchange(app, { url: '/broken', tenant: 'acme' })
  t.equal(broken.status, 500)
  t.match(JSON.parse(broken.body), { statusCode: 500, error: 'Internal Server Error' })
  t.equal((await exchange(app, { url: '/own', tenant: 'acme' })).body, 'of acme')
  t.match(await app.multitenant.stats(), { tenants: [{ inFlight: 0 }] })
})

t.test('a request whose client has left gets no answer', async t => {
  const { app } = await prepare(t)
  const raw = Object.assign(new IncomingMessage(new Socket()), { method: 'GET', url: '/own', headers: { 'x-tenant-id': 'acme' } })
  const rawReply = new ServerResponse(raw)
  rawReply.destroy()
  app.server.emit('request', raw, rawReply)
  t.equal(rawReply.headersSent, false)
  t.match(await app.multitenant.stats(), { tenants: [{ inFlight: 0 }] })
})

/** The steps of the requests to an app whose route has hooks of the app and of its own. */
async function steps (t: Teardown, ask: (app: FastifyInstance) => Promise<{ body: string }>): Promise<unknown[]> {
  const lines: Array<{ msg: string, tenantId?: string, reqId?: string }> = []
  const stream = { write: (line: string) => { lines.push(JSON.parse(line)) } }
  const { app, doors } = await prepare(t, app => {
    app.addHook('onRequest', async request => { app.log.info(`hook of the app for ${request.tenant?.id}`) })
    app.get('/shared/:name', { onRequest: async request => { request.log.info('hook of the route') } }, async request => {
      return `${(request.params as { name: string }).name}${(request.query as { q: string }).q} for ${request.tenant?.id}, ${request.tenantId}`
    })
    app.get('/files/*', async request => `file for ${request.tenantId}`)
    app.get('/ignoring', { config: { tenant: 'ignore' } }, async request => `ignoring ${request.tenantId}`)
    app.get('/identifying', { config: { identify: () => 'acme' } }, async request => `identifying ${request.tenantId}`)
  }, {}, { logger: { stream } })
  lines.length = 0
  doors.length = 0
  const { body } = await ask(app)
  return [body, ...lines.map(({ msg, tenantId, reqId }) => [msg, tenantId, reqId])]
}

t.test('a route of the app answers as it does when the hook has found the tenant', async t => {
  const inject = (url: string) => (app: FastifyInstance): Promise<{ body: string }> => app.inject({ url, headers: { 'x-tenant-id': 'acme' } })
  const overSocket = (url: string) => (app: FastifyInstance): Promise<{ body: string }> => exchange(app, { url, tenant: 'acme' })
  for (const url of ['/shared/7?q=x', '/own', '/users/7', '/files/7', '/ignoring', '/identifying', '/nowhere', `/shared/${'x'.repeat(200)}`]) {
    const expected = await steps(t, inject(url))
    t.strictSame(await steps(t, overSocket(url)), expected, url)
  }
  t.strictSame(await steps(t, overSocket('/shared/7?q=x')), [
    '7x for acme, acme',
    ['incoming request', 'acme', 'req-1'],
    ['hook of the app for acme', undefined, undefined],
    ['hook of the route', 'acme', 'req-1'],
    ['request completed', 'acme', 'req-1']
  ])
})

t.test('a route of the app is left to the hook if one of its constraints is asynchronous, or the tenant has listeners', async t => {
  const constraint = {
    name: 'later',
    storage: () => {
      const handlers = new Map<unknown, unknown>()
      return { get: (key: unknown) => handlers.get(key) ?? null, set: (key: unknown, store: unknown) => { handlers.set(key, store) } }
    },
    deriveConstraint: (raw: IncomingMessage, _context: unknown, done: (error: null, value: unknown) => void) => {
      setImmediate(done, null, raw.headers['x-version'])
    }
  }
  const { app: constrained } = await prepare(t, app => {
    app.addConstraintStrategy(constraint as never)
    app.get('/shared', { constraints: { later: 'one' } }, async request => `one for ${request.tenantId}`)
  })
  t.match(await exchange(constrained, { url: '/shared', tenant: 'acme', headers: { 'x-version': 'one' } }), { status: 200, body: 'one for acme' })

  const seen: unknown[] = []
  const app = appOf(t, { acme: async scope => { scope.server.on('request', raw => { seen.push(raw.url) }) } })
  app.get('/shared', async request => `shared for ${request.tenantId}`)
  await listen(app)
  await app.multitenant.init('acme')
  t.match(await exchange(app, { url: '/shared', tenant: 'acme' }), { status: 200, body: 'shared for acme' })
  t.strictSame(seen, ['/shared'])
})

t.test('a request whose URL the strategy changes is left to the hook', async t => {
  class PrefixStrategy extends NotingStrategy {
    override tenantUrl (request: FastifyRequest): string {
      return request.url.replace('/acme', '')
    }
  }
  const strategy = new PrefixStrategy()
  const app = appOf(t, { acme }, { identify: strategy })
  await listen(app)
  await app.multitenant.init('acme')
  t.match(await exchange(app, { url: '/acme/own', tenant: 'acme' }), { status: 200, body: 'of acme' })
  t.match(await exchange(app, { url: '/own', tenant: 'acme' }), { status: 200, body: 'of acme' })
  t.same(strategy.doors, ['listener', 'hook', 'listener'])
})

t.test('a strategy that is asked before routing sees the decorators of the app, and keeps what it writes to one request', async t => {
  class DecoratorStrategy extends TenantIdentificationStrategy {
    override readonly readsHeadOnly = true
    readonly seen: unknown[] = []

    override extractTenantId (request: FastifyRequest & { note?: string | null, shout?: () => string }): string | undefined {
      this.seen.push([request.note, request.shout?.(), request.id, request.params, request.host, request.ip])
      request.note = 'written'
      return request.headers['x-tenant-id'] as string | undefined
    }
  }
  const strategy = new DecoratorStrategy()
  const app = appOf(t, { acme }, { identify: strategy })
  app.decorateRequest('note', null)
  app.decorateRequest('shout', function (this: FastifyRequest) { return this.url.toUpperCase() })
  await listen(app)
  await app.multitenant.init('acme')
  for (let time = 0; time < 2; time++) t.match(await exchange(app, { url: '/own', tenant: 'acme' }), { status: 200, body: 'of acme' })
  t.match(strategy.seen, [[null, '/OWN', undefined, undefined, /^127\.0\.0\.1:/, '127.0.0.1'], [null, '/OWN', undefined, undefined, /./, '127.0.0.1']])
})
