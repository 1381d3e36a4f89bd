import { once as event } from 'node:events'
import Fastify from 'fastify'
import fp from 'fastify-plugin'
import t from 'tap'
import { TEMPERATURES, warm } from '../fixtures/http/temperature.ts'
import type { FastifyInstance, FastifyPluginAsync, FastifyRequest } from 'fastify'
import multitenant from '../../index.ts'
import { appOf, as, emptyApp, inFlight, listen, tenants } from '../fixtures/http/app.ts'
import type { Teardown } from '../fixtures/http/app.ts'
import { ask, exchange, responseClosed } from '../fixtures/http/exchange.ts'
import { ANSWERED, once, recordHooks } from '../fixtures/http/hooks.ts'
import { until } from '../fixtures/lifecycle/app.ts'

t.test('each hook of the app runs once', async t => {
  const own: FastifyPluginAsync = async scope => {
    scope.get('/own', async () => ({ of: 'acme' }))
    scope.get('/broken', async () => { throw new Error('broken') })
  }

  const cases: Array<[what: string, tenant: string | undefined, url: string, status: number, route: string]> = [
    ["in the tenant's route", 'acme', '/own', 200, '/own'],
    ['in a route of the app, for a tenant', 'acme', '/shared', 200, '/shared'],
    ['in a route of the app, for nobody', undefined, '/shared', 200, '/shared'],
    ['where there is no route, for a tenant', 'acme', '/nowhere', 404, '404'],
    ['where there is no route, for nobody', undefined, '/nowhere', 404, '404'],
    ["in the tenant's 404 handler", 'globex', '/nowhere', 404, '404']
  ]
  const globex: FastifyPluginAsync = async scope => {
    scope.setNotFoundHandler(async (_request, reply) => {
      reply.code(404)
      return { of: 'globex' }
    })
  }

  for (const temperature of TEMPERATURES) {
    for (const place of ['before', 'after']) {
      for (const [what, tenant, url, status, route] of cases) {
        t.test(`${what}: hooks added ${place} the plugin, ${temperature} tenant`, async t => {
          const app = emptyApp(t)
          const before = place === 'before' ? recordHooks(app) : []
          await app.register(multitenant, { tenants: tenants({ acme: own, globex }) })
          const ran = place === 'before' ? before : recordHooks(app)
          app.get('/shared', async () => ({ of: 'the app' }))
          await listen(app)
          if (tenant !== undefined) await warm(app, temperature, tenant)

          const answer = await exchange(app, { url, ...(tenant !== undefined && { tenant }) })
          t.equal(answer.status, status)
          t.strictSame(ran, once(ANSWERED, route))
        })
      }
    }
  }

  t.test('an onError hook of the app runs once, in the route that failed', async t => {
    const app = emptyApp(t)
    const ran = recordHooks(app)
    app.register(multitenant, { tenants: tenants({ acme: own }) })
    await listen(app)

    const answer = await exchange(app, { url: '/broken', tenant: 'acme' })
    t.equal(answer.status, 500)
    t.strictSame(ran, once(['onRequest', 'preParsing', 'preValidation', 'preHandler', 'onError', 'onSend', 'onResponse'], '/broken'))
  })

  t.test('an onTimeout hook of the app runs once, in the route that takes too long', async t => {
    const app = emptyApp(t)
    const ran = recordHooks(app)
    app.register(multitenant, {
      tenants: tenants({
        acme: async scope => {
          scope.get('/slow', (request, reply) => {
            // Node emits the timeout when nothing moved on the socket for `connectionTimeout`.
            request.raw.socket.emit('timeout')
            reply.hijack()
          })
        }
      })
    })
    await listen(app)

    const closed = responseClosed(app)
    const client = ask(app, { url: '/slow', tenant: 'acme' }).end()
    await t.rejects(event(client, 'response'))
    await closed
    t.strictSame(ran.filter(name => name.startsWith('onTimeout')), ['onTimeout /slow'])
    await until(async () => await inFlight(app, 'acme') === 0)
  })

  t.test("an onRoute hook of the app runs once for each of the tenant's routes", async t => {
    const app = emptyApp(t)
    const routes: string[] = []
    app.addHook('onRoute', route => { routes.push(`${String(route.method)} ${route.url}`) })
    app.register(multitenant, { tenants: tenants({ acme: own }) })
    await app.ready()
    t.strictSame(routes, [])

    await app.multitenant.init('acme')
    t.strictSame(routes.sort(), ['GET /broken', 'GET /own', 'HEAD /broken', 'HEAD /own'])
  })

  t.test('the application hooks are not run for tenants', async t => {
    const app = emptyApp(t)
    const ran: string[] = []
    app.addHook('onReady', async () => { ran.push('onReady') })
    app.addHook('preClose', async () => { ran.push('preClose') })
    app.addHook('onClose', async () => { ran.push('onClose') })
    app.addHook('onRegister', scope => { ran.push(`onRegister ${scope.pluginName}`) })
    app.register(multitenant, { tenants: tenants({ acme: own }) })
    await app.ready()
    await app.multitenant.init('acme')
    t.strictSame(ran.filter(name => !name.startsWith('onRegister')), ['onReady'])
    t.equal(ran.filter(name => name === 'onRegister tenant acme').length, 1, 'but onRegister, as for a child')

    await app.close()
    t.strictSame(ran.filter(name => !name.startsWith('onRegister')), ['onReady', 'preClose', 'onClose'])
  })

  t.test("the tenant's own hooks run after the app's", async t => {
    const app = appOf(t, {
      acme: async scope => {
        scope.addHook('onRequest', async request => { order.push(`the tenant's, for ${request.tenantId}`) })
        scope.get('/own', { onRequest: async () => { order.push("the route's") } }, async () => ({}))
      }
    })
    const order: string[] = []
    app.addHook('onRequest', async request => { order.push(`the app's, for ${request.tenantId}`) })
    await app.inject({ url: '/own', headers: as('acme') })
    t.strictSame(order, ["the app's, for acme", "the tenant's, for acme", "the route's"])
  })
})

t.test('the identify hook runs first', async t => {
  t.test("an app-wide hook added before sees the tenant, and the config of the tenant's route", async t => {
    const app = emptyApp(t)
    app.addHook('onRequest', async (request, reply) => {
      const { access } = request.routeOptions.config
      if (access !== 'open') return reply.code(401).send({ access, tenant: request.tenantId, url: request.routeOptions.url })
    })
    app.register(multitenant, {
      tenants: tenants({
        acme: async scope => {
          scope.get('/open', { config: { access: 'open' } }, async () => 'come in')
          scope.get('/closed', { config: { access: 'staff' } }, async () => 'come in')
          scope.get('/both', { config: { access: 'staff' } }, async () => 'come in')
        }
      })
    })
    app.get('/both', { config: { access: 'open' } }, async () => 'come in')

    t.equal((await app.inject({ url: '/open', headers: as('acme') })).body, 'come in')
    const closed = await app.inject({ url: '/closed', headers: as('acme') })
    t.equal(closed.statusCode, 401)
    t.strictSame(closed.json(), { access: 'staff', tenant: 'acme', url: '/closed' })
    t.equal((await app.inject({ url: '/both', headers: as('acme') })).statusCode, 401, "the app's route of that URL does not open it")
    t.equal((await app.inject('/both')).statusCode, 200)
    t.equal((await app.inject('/open')).statusCode, 401, 'nobody has no such route')
  })

  t.test("no other hook has run on the app's request when it is handed over", async t => {
    const app = emptyApp(t)
    const requests = new Set<FastifyRequest>()
    app.addHook('onRequest', async request => { requests.add(request) })
    app.register(multitenant, {
      tenants: tenants({
        acme: async scope => {
          scope.get('/own', async request => requests.has(request) && requests.size === 1)
        }
      })
    })
    t.equal((await app.inject({ url: '/own', headers: as('acme') })).json(), true)
  })

  t.test('the identify hook runs first in children that the app made before', async t => {
    const app = emptyApp(t)
    const seen: Array<string | null> = []
    await app.register(async child => {
      child.addHook('onRequest', async request => { seen.push(request.tenantId) })
      child.get('/child', async () => ({}))
    })
    await app.register(multitenant, { tenants: tenants({ acme: async () => {} }) })
    await app.inject({ url: '/child', headers: as('acme') })
    t.strictSame(seen, ['acme'])
  })
})

t.test('a refusal is thrown where the plugin was registered', async t => {
  async function refusing (t: Teardown, options: { required?: boolean } = {}): Promise<{ app: FastifyInstance, ran: string[] }> {
    const app = emptyApp(t)
    const ran: string[] = []
    app.addHook('onRequest', async (_request, reply) => {
      ran.push('before')
      reply.header('access-control-allow-origin', '*')
    })
    await app.register(async child => {
      child.get('/child', async () => 'the child')
    })
    await app.register(multitenant, {
      ...options,
      tenants: tenants({ acme: async () => {}, broken: async () => { throw new Error('broken on purpose') } })
    })
    app.addHook('onRequest', async () => { ran.push('after') })
    app.addHook('onError', async () => { ran.push('onError') })
    app.addHook('onResponse', async () => { ran.push('onResponse') })
    app.get('/shared', async () => 'the app')
    return { app, ran }
  }

  const cases: Array<[what: string, id: string | undefined, status: number, code: string]> = [
    ['an unknown tenant', 'initech', 404, 'FST_TENANT_NOT_FOUND'],
    ['an id that is none', '../etc', 400, 'FST_TENANT_INVALID_ID'],
    ['a tenant that does not load', 'broken', 503, 'FST_TENANT_LOAD_FAILED'],
    ['no tenant where one is required', undefined, 400, 'FST_TENANT_REQUIRED']
  ]
  for (const [what, id, status, code] of cases) {
    for (const url of ['/shared', '/child', '/nowhere']) {
      t.test(`${what} at ${url}`, async t => {
        const { app, ran } = await refusing(t, { required: true })
        await listen(app)
        const answer = await exchange(app, { url, ...(id !== undefined && { tenant: id }) })
        t.equal(answer.status, status)
        t.match(JSON.parse(answer.body), { code, statusCode: status })
        t.equal(answer.headers['access-control-allow-origin'], '*', 'the earlier hooks have run')
        // The child was created before the later hooks were added, and has them nevertheless.
        t.strictSame(ran, ['before', 'onError', 'onResponse'], 'the later ones have not')
      })
    }
  }

  t.test("a refusal goes to the app's error handler", async t => {
    const { app } = await refusing(t)
    app.setErrorHandler(async (error: Error & { code: string }, _request, reply) => {
      reply.code(418)
      return error.code
    })
    const answer = await app.inject({ url: '/shared', headers: as('initech') })
    t.equal(answer.statusCode, 418)
    t.equal(answer.body, 'FST_TENANT_NOT_FOUND')
  })

  t.test('an earlier hook may answer instead of the refusal', async t => {
    const app = emptyApp(t)
    app.addHook('onRequest', async (_request, reply) => reply.code(429).send('slow down'))
    app.register(multitenant, { tenants: {} })
    const answer = await app.inject({ url: '/', headers: as('initech') })
    t.equal(answer.statusCode, 429)
  })

  t.test('a refusal does not affect the next request', async t => {
    const { app } = await refusing(t)
    t.equal((await app.inject({ url: '/shared', headers: as('initech') })).statusCode, 404)
    t.equal((await app.inject({ url: '/shared', headers: as('acme') })).body, 'the app')
    t.equal((await app.inject('/shared')).body, 'the app')
  })
})

t.test("the tenant's scope inherits from the app", async t => {
  t.test('inherits decorators that were added before and after the plugin', async t => {
    const app = emptyApp(t)
    app.decorate('early', 'early')
    app.decorateRequest('mark', 'mark')
    app.register(multitenant, {
      tenants: tenants({
        acme: async scope => {
          scope.get('/own', async (request, reply) => [
            scope.getDecorator('early'), scope.getDecorator('late'), request.getDecorator('mark'), reply.getDecorator<() => string>('sign')()
          ])
        }
      })
    })
    app.register(fp(async app => {
      app.decorate('late', 'late')
      app.decorateReply('sign', () => 'sign')
    }))
    t.strictSame((await app.inject({ url: '/own', headers: as('acme') })).json(), ['early', 'late', 'mark', 'sign'])
  })

  t.test('inherits schemas and their compilers', async t => {
    const compiled: string[] = []
    const app = appOf(t, {
      acme: async scope => {
        scope.addSchema({ $id: 'own', type: 'object', properties: { id: { $ref: 'shared#' } } })
        scope.post('/own', { schema: { body: { $ref: 'own#' } } }, async request => request.body)
      }
    })
    app.addSchema({ $id: 'shared', type: 'integer' })
    app.setSchemaErrorFormatter(errors => {
      compiled.push(...errors.map(({ instancePath }) => instancePath))
      return new Error('formatted')
    })
    t.strictSame((await app.inject({ method: 'POST', url: '/own', headers: as('acme'), payload: { id: '7' } })).json(), { id: 7 })

    const refused = await app.inject({ method: 'POST', url: '/own', headers: as('acme'), payload: { id: 'seven' } })
    t.equal(refused.statusCode, 400)
    t.equal(refused.json().message, 'formatted')
    t.strictSame(compiled, ['/id'])
    t.strictSame(Object.keys(app.getSchemas()), ['shared'])
  })

  t.test('inherits the validator and serializer compilers', async t => {
    const app = appOf(t, {
      acme: async scope => {
        scope.post('/own', { schema: { body: { type: 'object' }, response: { 200: { type: 'object' } } } }, async () => ({}))
      }
    })
    app.setValidatorCompiler(() => data => (data as { ok?: boolean }).ok === true ? true : { error: new Error('not ok') })
    app.setSerializerCompiler(() => () => '"serialized"')
    t.equal((await app.inject({ method: 'POST', url: '/own', headers: as('acme'), payload: { ok: true } })).body, '"serialized"')
    t.equal((await app.inject({ method: 'POST', url: '/own', headers: as('acme'), payload: { ok: false } })).statusCode, 400)
  })

  t.test('inherits the reply serializer', async t => {
    const app = appOf(t, { acme: async scope => { scope.get('/own', async () => ({ id: 1 })) } })
    app.setReplySerializer(payload => `replied ${Object.keys(payload as object).join()}`)
    t.equal((await app.inject({ url: '/own', headers: as('acme') })).body, 'replied id')
  })

  t.test('inherits the names of plugins, on which others depend', async t => {
    const app = appOf(t, {
      acme: async scope => {
        await scope.register(fp(async () => {}, { name: 'own', dependencies: ['shared'] }))
        await scope.register(fp(async () => {}, { name: 'other', dependencies: ['own', 'shared'] }))
        scope.get('/own', async () => scope.hasPlugin('own'))
      },
      globex: async scope => {
        await scope.register(fp(async () => {}, { name: 'other', dependencies: ['own'] }))
      }
    })
    app.register(fp(async () => {}, { name: 'shared' }))
    t.equal((await app.inject({ url: '/own', headers: as('acme') })).json(), true)
    t.equal((await app.inject({ url: '/own', headers: as('globex') })).statusCode, 503, "a tenant's plugins count for itself only")
    t.equal(app.hasPlugin('own'), false)
  })

  t.test('inherits the options of routes', async t => {
    const app = appOf(t, {
      acme: async scope => { scope.get('/Own/:id', async request => request.params) }
    }, {}, { routerOptions: { caseSensitive: false, ignoreTrailingSlash: true, maxParamLength: 5 } })
    t.strictSame((await app.inject({ url: '/oWN/x/', headers: as('acme') })).json(), { id: 'x' })
    t.equal((await app.inject({ url: '/own/toolong', headers: as('acme') })).statusCode, 414)
  })

  t.test('inherits rewriteUrl, which runs once', async t => {
    const urls: string[] = []
    const app = appOf(t, {
      acme: async scope => { scope.get('/a/a/own', async request => [request.url, request.originalUrl]) }
    }, {}, {
      rewriteUrl: ({ url = '' }) => {
        urls.push(url)
        return `/a${url}`
      }
    })
    t.strictSame((await app.inject({ url: '/a/own', headers: as('acme') })).json(), ['/a/a/own', '/a/own'])
    t.strictSame(urls, ['/a/own'])
  })

  t.test("adds nothing to the app's server", async t => {
    const many = Object.fromEntries(Array.from({ length: 15 }, (_, n) => [`t${n}`, async () => {}]))
    const app = await listen(appOf(t, many))
    const before = app.server.eventNames().map(name => app.server.listenerCount(name))
    for (const id of Object.keys(many)) await app.multitenant.init(id)
    t.strictSame(app.server.eventNames().map(name => app.server.listenerCount(name)), before)
  })

  t.test('a Fastify that lacks a symbol is refused at boot', async t => {
    const app = Fastify()
    app.register(fp(async app => {
      const symbol = Object.getOwnPropertySymbols(app).find(({ description }) => description === 'fastify.acceptedHTTPMethods')
      Reflect.deleteProperty(app, symbol as symbol)
    }))
    app.register(multitenant, { tenants: {} })
    await t.rejects(async () => await app.ready(), { code: 'FST_TENANT_FASTIFY_UNSUPPORTED', message: new RegExp(`fastify\\.acceptedHTTPMethods.*${app.version}`) })
  })
})
