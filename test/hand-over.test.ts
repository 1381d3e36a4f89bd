import { createHash, randomBytes } from 'node:crypto'
import { once as event } from 'node:events'
import { Agent } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { connect } from 'node:http2'
import type { ClientHttp2Session, IncomingHttpHeaders, IncomingHttpStatusHeader } from 'node:http2'
import { Readable } from 'node:stream'
import { buffer, text } from 'node:stream/consumers'
import Fastify from 'fastify'
import fp from 'fastify-plugin'
import t from 'tap'
import type { Test } from 'tap'
import type { FastifyInstance, FastifyPluginAsync, FastifyRequest } from 'fastify'
import multitenant from '../index.ts'
import { Door } from './fixtures/door.ts'
import { appOf, as, emptyApp, inFlight, listen, tenants } from './fixtures/http/app.ts'
import type { Teardown } from './fixtures/http/app.ts'
import { ask, exchange, read, responseClosed } from './fixtures/http/exchange.ts'
import { ANSWERED, once, recordHooks } from './fixtures/http/hooks.ts'
import { until } from './fixtures/lifecycle/app.ts'

const TEMPERATURES = ['cold', 'warm'] as const

function sha (data: Buffer): string {
  return createHash('sha256').update(data).digest('hex')
}

async function warm (app: FastifyInstance, temperature: typeof TEMPERATURES[number], id = 'acme'): Promise<void> {
  if (temperature === 'warm') await app.multitenant.init(id)
}

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

t.test('request bodies', async t => {
  const echo: FastifyPluginAsync = async scope => {
    scope.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string' }, async (_request: FastifyRequest, body: string) => {
      return Object.fromEntries(new URLSearchParams(body))
    })
    scope.post('/echo', async request => request.body)
    scope.post('/small', { bodyLimit: 10 }, async request => request.body)
  }

  for (const temperature of TEMPERATURES) {
    t.test(`${temperature}: a JSON body is parsed once`, async t => {
      const app = await listen(appOf(t, { acme: echo }))
      await warm(app, temperature)
      let parsed = 0
      const body = JSON.stringify({ text: 'x'.repeat(500_000) })
      app.server.once('request', (raw: IncomingMessage) => { raw.once('end', () => { parsed++ }) })
      const answer = await exchange(app, { method: 'POST', url: '/echo', tenant: 'acme', headers: { 'content-type': 'application/json' }, body })
      t.equal(answer.status, 200)
      t.equal(answer.body, body)
      t.equal(parsed, 1)
    })

    t.test(`${temperature}: the tenant's own parser parses a body; the app and other tenants do not have it`, async t => {
      const app = appOf(t, { acme: echo, globex: async scope => { scope.post('/echo', async request => request.body) } })
      app.post('/shared', async request => request.body)
      await app.ready()
      await warm(app, temperature)
      const form = { method: 'POST', url: '/echo', payload: 'a=1&b=2' } as const
      const type = { 'content-type': 'application/x-www-form-urlencoded' }
      t.strictSame((await app.inject({ ...form, headers: { ...type, ...as('acme') } })).json(), { a: '1', b: '2' })
      t.equal((await app.inject({ ...form, headers: { ...type, ...as('globex') } })).statusCode, 415)
      t.equal((await app.inject({ ...form, url: '/shared', headers: { ...type, ...as('acme') } })).statusCode, 415)
    })

    t.test(`${temperature}: the body limit is the route's`, async t => {
      const app = appOf(t, { acme: echo }, {}, { bodyLimit: 100 })
      await app.ready()
      await warm(app, temperature)
      const send = async (url: string, length: number): Promise<number> => {
        const { statusCode } = await app.inject({ method: 'POST', url, headers: { ...as('acme'), 'content-type': 'application/json' }, payload: JSON.stringify('x'.repeat(length - 2)) })
        return statusCode
      }
      t.equal(await send('/small', 10), 200)
      t.equal(await send('/small', 11), 413)
      t.equal(await send('/echo', 100), 200)
      t.equal(await send('/echo', 101), 413)
    })

    t.test(`${temperature}: an upload is streamed`, async t => {
      const app = await listen(appOf(t, {
        acme: async scope => {
          scope.addContentTypeParser('application/octet-stream', async (_request: FastifyRequest, payload: Readable) => payload)
          scope.post('/upload', { bodyLimit: 2 ** 24 }, async request => sha(await buffer(request.body as Readable)))
        }
      }))
      await warm(app, temperature)
      const upload = randomBytes(8_000_000)
      const closed = responseClosed(app)
      const client = ask(app, { method: 'POST', url: '/upload', tenant: 'acme', headers: { 'content-type': 'application/octet-stream' } })
      Readable.from(chunks(upload, 60_000)).pipe(client)
      const [incoming]: IncomingMessage[] = await event(client, 'response')
      t.equal((await read(incoming as IncomingMessage)).body, sha(upload))
      await closed
      t.equal(await inFlight(app, 'acme'), 0)
    })
  }

  t.test("the app's parsers serve the tenant's routes", async t => {
    const app = appOf(t, { acme: async scope => { scope.post('/echo', async request => request.body) } })
    app.addContentTypeParser('text/csv', { parseAs: 'string' }, async (_request: FastifyRequest, body: string) => body.split(','))
    const answer = await app.inject({ method: 'POST', url: '/echo', headers: { ...as('acme'), 'content-type': 'text/csv' }, payload: 'a,b' })
    t.strictSame(answer.json(), ['a', 'b'])
  })

  t.test("a preParsing hook of the app changes the payload of a tenant's route once", async t => {
    const app = appOf(t, { acme: echo })
    app.addHook('preParsing', async (request, _reply, payload) => {
      const wrapped = Readable.from([`{"wrapped":${await text(payload as Readable)}}`])
      return Object.assign(wrapped, { receivedEncodedLength: Number(request.headers['content-length']) })
    })
    const answer = await app.inject({ method: 'POST', url: '/echo', headers: { ...as('acme'), 'content-type': 'application/json' }, payload: '{"a":1}' })
    t.strictSame(answer.json(), { wrapped: { a: 1 } })
  })
})

t.test('answers', async t => {
  t.test('a stream reaches the client completely', async t => {
    const download = randomBytes(8_000_000)
    const app = await listen(appOf(t, {
      acme: async scope => { scope.get('/download', async (_request, reply) => reply.type('application/octet-stream').send(Readable.from(chunks(download, 60_000)))) }
    }))
    const closed = responseClosed(app)
    const client = ask(app, { url: '/download', tenant: 'acme' }).end()
    const [incoming]: Readable[] = await event(client, 'response')
    t.equal(sha(await buffer(incoming as Readable)), sha(download))
    await closed
    t.equal(await inFlight(app, 'acme'), 0)
  })

  t.test('each server-sent event arrives before the next is written', async t => {
    const next = new Door()
    const app = await listen(appOf(t, {
      acme: async scope => {
        scope.get('/events', async (_request, reply) => {
          reply.hijack()
          reply.raw.writeHead(200, { 'content-type': 'text/event-stream' })
          reply.raw.write('data: one\n\n')
          await next.pass()
          reply.raw.end('data: two\n\n')
        })
      }
    }))
    const closed = responseClosed(app)
    const client = ask(app, { url: '/events', tenant: 'acme' }).end()
    const [incoming]: IncomingMessage[] = await event(client, 'response')
    const [first]: Buffer[] = await event(incoming as IncomingMessage, 'data')
    t.equal(String(first), 'data: one\n\n')
    t.equal(await inFlight(app, 'acme'), 1, 'the tenant is held while the events go on')

    const second = event(incoming as IncomingMessage, 'data')
    next.open()
    t.equal(String((await second)[0]), 'data: two\n\n')
    await closed
    t.equal(await inFlight(app, 'acme'), 0)
  })

  t.test('reply.hijack() ends the lifecycle of the reply', async t => {
    const app = emptyApp(t)
    const ran = recordHooks(app)
    app.register(multitenant, {
      tenants: tenants({
        acme: async scope => {
          scope.get('/raw', (_request, reply) => {
            reply.hijack()
            reply.raw.setHeader('x-raw', 'yes').end('raw')
          })
        }
      })
    })
    await listen(app)
    const answer = await exchange(app, { url: '/raw', tenant: 'acme' })
    t.equal(answer.body, 'raw')
    t.equal(answer.headers['x-raw'], 'yes')
    t.strictSame(ran, once(['onRequest', 'preParsing', 'preValidation', 'preHandler', 'onResponse'], '/raw'))
    t.equal(await inFlight(app, 'acme'), 0)
  })

  t.test('HEAD', async t => {
    const app = appOf(t, {
      acme: async scope => {
        scope.get('/get', async () => 'acme!')
        scope.head('/head', async (_request, reply) => { reply.header('x-head', 'acme').send() })
        scope.get('/head', async () => 'unlike its head')
      },
      globex: async scope => { scope.get('/get', { exposeHeadRoute: false }, async () => 'globex') }
    })
    app.get('/shared', async () => 'the app')
    const head = async (url: string, id: string) => await app.inject({ method: 'HEAD', url, headers: as(id) })
    const exposed = await head('/get', 'acme')
    t.equal(exposed.statusCode, 200)
    t.equal(exposed.headers['content-length'], '5')
    t.equal(exposed.body, '')
    t.equal((await head('/head', 'acme')).headers['x-head'], 'acme')
    t.equal((await head('/get', 'globex')).statusCode, 404)
    t.equal((await head('/shared', 'acme')).headers['content-length'], '7')
  })

  t.test('OPTIONS', async t => {
    const app = appOf(t, {
      acme: async scope => { scope.options('/own', async (_request, reply) => reply.header('allow', 'GET').send()) }
    })
    app.options('*', async (_request, reply) => reply.header('allow', 'the app').send())
    const options = async (url: string) => (await app.inject({ method: 'OPTIONS', url, headers: as('acme') })).headers.allow
    t.equal(await options('/own'), 'GET')
    t.equal(await options('/other'), 'the app')
  })

  t.test('a method that was added with addHttpMethod()', async t => {
    const app = emptyApp(t)
    app.addHttpMethod('REPORT', { hasBody: true })
    app.register(multitenant, {
      tenants: tenants({
        acme: async scope => {
          scope.addHttpMethod('SEARCH')
          scope.route({ method: 'REPORT', url: '/own', handler: async request => request.body })
          scope.route({ method: 'SEARCH', url: '/own', handler: async () => 'found' })
        }
      })
    })
    await listen(app)
    const report = await exchange(app, { method: 'REPORT', url: '/own', tenant: 'acme', headers: { 'content-type': 'application/json' }, body: '{"a":1}' })
    t.equal(report.body, '{"a":1}')
    t.equal((await exchange(app, { method: 'SEARCH', url: '/own', tenant: 'acme' })).body, 'found')
    t.notOk(app.supportedMethods.includes('SEARCH'), "the tenant's is its own")
  })

  t.test('trailers and early hints', async t => {
    const app = await listen(appOf(t, {
      acme: async scope => {
        scope.get('/own', async (_request, reply) => {
          reply.writeEarlyHints({ link: '</style.css>; rel=preload; as=style' })
          reply.trailer('etag', async () => 'trailing')
          return 'body'
        })
      }
    }))
    const client = ask(app, { url: '/own', tenant: 'acme' }).end()
    const hinted = event(client, 'information')
    const responded = event(client, 'response')
    t.match(await hinted, [{ statusCode: 103, headers: { link: '</style.css>; rel=preload; as=style' } }])
    const [incoming]: IncomingMessage[] = await responded
    const answer = await read(incoming as IncomingMessage)
    t.equal(answer.body, 'body')
    t.equal(answer.trailers.etag, 'trailing')
  })
})

t.test('clients that leave', async t => {
  for (const temperature of TEMPERATURES) {
    for (const url of ['/own', '/shared']) {
      t.test(`${temperature}, ${url}: the lease is released when the handler has ended, and onRequestAbort runs once`, async t => {
        const app = emptyApp(t)
        const aborted: string[] = []
        const gate = new Door()
        const handler = async (request: FastifyRequest): Promise<object> => {
          request.raw.once('close', () => order.push(request.id))
          await gate.pass()
          return {}
        }
        const order: string[] = []
        app.addHook('onRequestAbort', async request => { aborted.push(request.id) })
        app.register(multitenant, { tenants: tenants({ acme: async scope => { scope.get('/own', handler) } }) })
        app.get('/shared', handler)
        await listen(app)
        await warm(app, temperature)

        const closed = responseClosed(app)
        const client = ask(app, { url, tenant: 'acme' }).end()
        client.on('error', () => {})
        await gate.reached
        t.equal(await inFlight(app, 'acme'), 1)
        client.destroy()
        await closed
        t.equal(await inFlight(app, 'acme'), 1, 'the handler goes on')
        t.equal(aborted.length, 1)
        t.strictSame(aborted, order, 'with the same request id')
        gate.open()
        await until(async () => await inFlight(app, 'acme') === 0)
      })
    }
  }

  t.test('onRequestAbort runs once if the path strategy passes the request on', async t => {
    const app = emptyApp(t)
    const aborted: string[] = []
    const gates = { '/own': new Door(), '/shared': new Door() }
    app.addHook('onRequestAbort', async request => { aborted.push(request.id) })
    app.register(multitenant, { identify: 'path', tenants: tenants({ acme: async scope => { scope.get('/own', async () => await gates['/own'].pass()) } }) })
    app.get('/shared', async () => await gates['/shared'].pass())
    await listen(app)

    for (const [url, gate] of Object.entries(gates)) {
      aborted.length = 0
      const closed = responseClosed(app)
      const client = ask(app, { url: `/acme${url}` }).end()
      client.on('error', () => {})
      await gate.reached
      client.destroy()
      await closed
      t.equal(aborted.length, 1, url)
      gate.open()
    }
  })

  t.test('onRequestAbort hooks of a child run once, also if the child was created before the last hook of the app', async t => {
    const app = emptyApp(t)
    const aborted: string[] = []
    const gate = new Door()
    app.addHook('onRequestAbort', async request => { aborted.push(`first ${request.id}`) })
    await app.register(async child => {
      child.addHook('onRequestAbort', async request => { aborted.push(`child ${request.id}`) })
      child.get('/shared', async () => await gate.pass())
    })
    const last = new Promise<void>(resolve => {
      app.addHook('onRequestAbort', async request => {
        aborted.push(`last ${request.id}`)
        resolve()
      })
    })
    app.register(multitenant, { identify: 'path', tenants: { acme: {} } })
    await listen(app)

    const closed = responseClosed(app)
    const client = ask(app, { url: '/acme/shared' }).end()
    client.on('error', () => {})
    await gate.reached
    client.destroy()
    await Promise.all([closed, last])
    t.strictSame(aborted.sort(), ['child req-1', 'first req-1', 'last req-1'])
    gate.open()
  })

  t.test("a tenant's own onRequestAbort runs for its routes", async t => {
    const gate = new Door()
    const aborted: string[] = []
    const app = await listen(appOf(t, {
      acme: async scope => {
        scope.addHook('onRequestAbort', async request => { aborted.push(`${request.tenantId} ${request.routeOptions.url}`) })
        scope.get('/own', async () => await gate.pass())
      }
    }))
    const closed = responseClosed(app)
    const client = ask(app, { url: '/own', tenant: 'acme' }).end()
    client.on('error', () => {})
    await gate.reached
    client.destroy()
    await closed
    t.strictSame(aborted, ['acme /own'])
    gate.open()
  })

  t.test('a client that leaves while its tenant loads runs no handler, and the tenant serves the next client', async t => {
    const loading = new Door()
    const ran: string[] = []
    const app = appOf(t, {
      acme: async scope => {
        await loading.pass()
        scope.get('/own', async () => {
          ran.push('handler')
          return 'acme'
        })
      }
    })
    app.addHook('onRequestAbort', async request => { ran.push(`onRequestAbort ${request.url}`) })
    await listen(app)
    const closed = responseClosed(app)
    const client = ask(app, { url: '/own', tenant: 'acme' }).end()
    client.on('error', () => {})
    await loading.reached
    client.destroy()
    await closed
    loading.open()
    await app.multitenant.init('acme')
    t.strictSame(ran, ['onRequestAbort /own'], 'but the hook for clients that leave')
    t.equal((await exchange(app, { url: '/own', tenant: 'acme' })).body, 'acme')
    t.strictSame(ran, ['onRequestAbort /own', 'handler'])
    t.equal(await inFlight(app, 'acme'), 0)
    t.match(await app.multitenant.unload('acme'), { drained: true })
  })

  t.test('a client may leave during an upload', async t => {
    const started = new Door()
    started.open()
    const failed: string[] = []
    const app = await listen(appOf(t, {
      acme: async scope => {
        scope.addHook('onRequest', async () => await started.pass())
        scope.post('/upload', async () => 'whole')
        scope.setErrorHandler(async (error: Error & { code: string }) => {
          failed.push(error.code)
          return ''
        })
      }
    }))
    const closed = responseClosed(app)
    const client = ask(app, { method: 'POST', url: '/upload', tenant: 'acme', headers: { 'content-type': 'application/json', 'content-length': 1000 } })
    client.on('error', () => {})
    client.write('{"a":')
    await started.reached
    client.destroy()
    await closed
    await until(async () => await inFlight(app, 'acme') === 0)
  })

  t.test('the stream of a download is destroyed when the client leaves', async t => {
    const endless = new Readable({ read () { this.push('x'.repeat(60_000)) } })
    const app = await listen(appOf(t, {
      acme: async scope => { scope.get('/endless', async (_request, reply) => reply.send(endless)) }
    }))
    const closed = responseClosed(app)
    const client = ask(app, { url: '/endless', tenant: 'acme' }).end()
    client.on('error', () => {})
    const [incoming]: IncomingMessage[] = await event(client, 'response')
    incoming?.on('error', () => {})
    client.destroy()
    await closed
    if (!endless.closed) await event(endless, 'close')
    t.ok(endless.destroyed)
    await until(async () => await inFlight(app, 'acme') === 0)
  })
})

t.test('the lease', async t => {
  t.test('ends when the raw response closes, not when it finishes', async t => {
    const counts: Array<[when: string, count: number | undefined]> = []
    const app = await listen(appOf(t, {
      acme: async scope => {
        scope.get('/own', async (_request, reply) => {
          reply.raw.once('finish', () => { finished = inFlight(app, 'acme') })
          return {}
        })
      }
    }))
    let finished: Promise<number | undefined> = Promise.resolve(undefined)
    await exchange(app, { url: '/own', tenant: 'acme' })
    counts.push(['finish', await finished], ['close', await inFlight(app, 'acme')])
    t.strictSame(counts, [['finish', 1], ['close', 0]])
  })

  t.test('lasts until the onResponse hooks of the response have run', async t => {
    const app = await listen(appOf(t, {
      acme: async scope => {
        scope.addHook('onResponse', async () => { states.push((await app.multitenant.stats()).tenants[0]?.inFlight) })
        scope.get('/own', async () => ({}))
      }
    }))
    const states: Array<number | undefined> = []
    await exchange(app, { url: '/own', tenant: 'acme' })
    t.strictSame(states, [1])
  })

  t.test('is taken for routes of the app, and not for refusals or requests without a tenant', async t => {
    const gate = new Door()
    const app = appOf(t, { acme: async () => {} }, {})
    app.get('/shared', async () => await gate.pass())
    await listen(app)
    const answer = exchange(app, { url: '/shared', tenant: 'acme' })
    await gate.reached
    t.equal(await inFlight(app, 'acme'), 1)
    gate.open()
    await answer
    await exchange(app, { url: '/shared' })
    await exchange(app, { url: '/shared', tenant: 'initech' })
    const { tenants } = await app.multitenant.stats()
    t.match(tenants, [{ id: 'acme', inFlight: 0, requests: 1 }])
    t.equal(tenants.length, 1)
  })

  t.test('is taken once per request', async t => {
    const app = await listen(appOf(t, { acme: async scope => { scope.get('/own', async () => ({})) } }))
    for (let n = 0; n < 3; n++) await exchange(app, { url: '/own', tenant: 'acme' })
    t.match((await app.multitenant.stats()).tenants, [{ requests: 3, inFlight: 0 }])
  })

  t.test('keeps an unload waiting', async t => {
    const gate = new Door()
    const order: string[] = []
    const app = await listen(appOf(t, {
      acme: async scope => {
        scope.addHook('onClose', async () => { order.push('tenant closed') })
        scope.get('/own', async (_request, reply) => {
          reply.raw.once('close', () => order.push('response closed'))
          await gate.pass()
          return 'acme'
        })
      }
    }))
    const answer = exchange(app, { url: '/own', tenant: 'acme' })
    await gate.reached
    const unloaded = app.multitenant.unload('acme')
    gate.open()
    t.equal((await answer).body, 'acme')
    t.match(await unloaded, { drained: true, forced: [] })
    t.strictSame(order, ['response closed', 'tenant closed'])
  })
})

t.test('reply.callNotFound()', async t => {
  const calling: FastifyPluginAsync = async scope => {
    scope.get('/own', (_request, reply) => { reply.callNotFound() })
    await scope.register(async nested => {
      nested.setNotFoundHandler(async (request, reply) => {
        reply.code(404)
        return `nested ${request.tenantId}`
      })
      nested.get('/own', (_request, reply) => { reply.callNotFound() })
    }, { prefix: '/nested' })
    await scope.register(async plain => {
      plain.get('/own', (_request, reply) => { reply.callNotFound() })
    }, { prefix: '/plain' })
  }
  const withHandler: FastifyPluginAsync = async (scope, options) => {
    scope.setNotFoundHandler(async (request, reply) => {
      reply.code(404)
      return `tenant ${request.tenantId}`
    })
    await calling(scope, options)
  }

  async function answers (t: Test, app: FastifyInstance, id: string): Promise<string[]> {
    const bodies = []
    for (const url of ['/own', '/nested/own', '/plain/own', '/nested/unknown', '/unknown']) {
      const { statusCode, body } = await app.inject({ url, headers: as(id) })
      t.equal(statusCode, 404, url)
      bodies.push(body)
    }
    return bodies
  }

  t.test("calls the tenant's handler, or else the app's", async t => {
    const app = appOf(t, { acme: withHandler, globex: calling })
    app.setNotFoundHandler(async (request, reply) => {
      reply.code(404)
      return `app ${request.tenantId}`
    })
    t.strictSame(await answers(t, app, 'acme'), ['tenant acme', 'nested acme', 'tenant acme', 'nested acme', 'tenant acme'])
    t.strictSame(await answers(t, app, 'globex'), ['app globex', 'nested globex', 'app globex', 'nested globex', 'app globex'])
  })

  t.test("calls Fastify's own handler if the app has none", async t => {
    const app = appOf(t, { globex: calling })
    t.strictSame((await answers(t, app, 'globex')).map(body => body.startsWith('nested') ? body : JSON.parse(body).message), [
      'Route GET:/own not found', 'nested globex', 'Route GET:/plain/own not found', 'nested globex', 'Route GET:/unknown not found'
    ])
  })

  t.test("runs the app's hooks once, and those of its 404 handler", async t => {
    const app = emptyApp(t)
    const ran = recordHooks(app)
    app.register(multitenant, { tenants: tenants({ acme: withHandler, globex: calling }) })
    app.setNotFoundHandler({ preHandler: async () => { ran.push('of the 404 handler') } }, async (_request, reply) => {
      reply.code(404)
      return {}
    })
    await listen(app)
    await exchange(app, { url: '/own', tenant: 'globex' })
    t.strictSame(ran, await nativeCallNotFound(t), 'as in a child of the app')
  })

  t.test("calls the app's handler in a route of the app", async t => {
    const app = appOf(t, { acme: withHandler })
    app.get('/shared', (_request, reply) => { reply.callNotFound() })
    app.setNotFoundHandler(async request => `app ${request.tenantId}`)
    t.equal((await app.inject({ url: '/shared', headers: as('acme') })).body, 'app acme')
  })
})

t.test('errors', async t => {
  const failing: FastifyPluginAsync = async scope => {
    scope.get('/fails', async () => { throw new Error('failed') })
    scope.post('/checks', { schema: { body: { type: 'object', required: ['a'] } } }, async () => ({}))
  }
  const handling: FastifyPluginAsync = async (scope, options) => {
    scope.setErrorHandler(async (error: Error, request, reply) => {
      reply.code(418)
      return `tenant ${request.tenantId}: ${error.message}`
    })
    scope.get('/passes-on', async () => { throw new Error('passed') })
    await scope.register(async nested => {
      nested.setErrorHandler(async error => { throw error })
      nested.get('/nested', async () => { throw new Error('nested') })
    })
    await failing(scope, options)
  }

  t.test("go to the tenant's error handler, or else to the app's", async t => {
    const app = appOf(t, { acme: handling, globex: failing })
    app.setErrorHandler(async (error: Error, request, reply) => {
      reply.code(419)
      return `app ${request.tenantId}: ${error.message}`
    })
    app.get('/shared', async () => { throw new Error('shared') })
    const body = async (id: string, url: string): Promise<string> => (await app.inject({ url, headers: as(id) })).body
    t.equal(await body('acme', '/fails'), 'tenant acme: failed')
    t.equal(await body('acme', '/nested'), 'tenant acme: nested')
    t.equal(await body('globex', '/fails'), 'app globex: failed')
    t.equal(await body('acme', '/shared'), 'app acme: shared', "the app's route is the app's")
    const checked = await app.inject({ method: 'POST', url: '/checks', headers: as('acme'), payload: {} })
    t.equal(checked.statusCode, 418)
    t.match(checked.body, 'required property')
  })

  t.test("of the tenant's error handler go to the app's", async t => {
    const app = appOf(t, {
      acme: async scope => {
        scope.setErrorHandler(async (error: Error) => { throw new Error(`${error.message} again`) })
        scope.get('/fails', async () => { throw new Error('failed') })
      }
    })
    app.setErrorHandler(async (error: Error) => `app: ${error.message}`)
    t.equal((await app.inject({ url: '/fails', headers: as('acme') })).body, 'app: failed again')
  })

  t.test("of the app's hooks reach the tenant's error handler in its routes", async t => {
    const app = appOf(t, { acme: handling })
    app.addHook('preHandler', async () => { throw new Error('hook') })
    t.equal((await app.inject({ url: '/fails', headers: as('acme') })).body, 'tenant acme: hook')
  })

  t.test("go to Fastify's own handler if there is no other", async t => {
    const app = appOf(t, { globex: failing })
    const answer = await app.inject({ url: '/fails', headers: as('globex') })
    t.equal(answer.statusCode, 500)
    t.strictSame(answer.json(), { statusCode: 500, error: 'Internal Server Error', message: 'failed' })
  })
})

t.test('handlerTimeout and request.signal', async t => {
  const waiting = async (request: FastifyRequest): Promise<unknown> => {
    await event(request.signal, 'abort')
    return {}
  }

  t.test("the route's handlerTimeout applies", async t => {
    const app = await listen(appOf(t, { acme: async scope => { scope.get('/own', { handlerTimeout: 1 }, waiting) } }))
    const answer = await exchange(app, { url: '/own', tenant: 'acme' })
    t.equal(answer.status, 503)
    t.equal(JSON.parse(answer.body).code, 'FST_ERR_HANDLER_TIMEOUT')
    t.equal(await inFlight(app, 'acme'), 0)
  })

  t.test("the app's handlerTimeout applies", async t => {
    const app = await listen(appOf(t, { acme: async scope => { scope.get('/own', waiting) } }, {}, { handlerTimeout: 100 }))
    await app.multitenant.init('acme')
    const answer = await exchange(app, { url: '/own', tenant: 'acme' })
    t.equal(answer.status, 503)
    t.match(JSON.parse(answer.body), { code: 'FST_ERR_HANDLER_TIMEOUT', message: /\/own/ })
  })

  t.test('request.signal is aborted when the client has left', async t => {
    const gate = new Door()
    const app = await listen(appOf(t, {
      acme: async scope => {
        scope.get('/own', async request => {
          const aborted = event(request.signal, 'abort')
          gate.pass()
          await aborted
          told()
        })
      }
    }))
    let told: () => void = () => {}
    const aborted = new Promise<void>(resolve => { told = resolve })
    const client = ask(app, { url: '/own', tenant: 'acme' }).end()
    client.on('error', () => {})
    await gate.reached
    client.destroy()
    await aborted
  })
})

t.test('constraints', async t => {
  const versions: FastifyPluginAsync = async scope => {
    scope.get('/versioned', { constraints: { version: '1.2.0' } }, async () => 'acme 1')
    scope.get('/versioned', { constraints: { version: '2.0.0' } }, async () => 'acme 2')
    scope.get('/hosted', { constraints: { host: 'a.example' } }, async () => 'acme at a')
  }

  t.test("version and host constraints select the tenant's route", async t => {
    const app = appOf(t, { acme: versions })
    app.get('/versioned', async () => 'the app')
    app.get('/hosted', { constraints: { host: 'b.example' } }, async () => 'the app at b')
    const body = async (url: string, headers: Record<string, string>): Promise<string> => (await app.inject({ url, headers: { ...as('acme'), ...headers } })).body
    t.equal(await body('/versioned', { 'accept-version': '1.x' }), 'acme 1')
    t.equal(await body('/versioned', { 'accept-version': '2.x' }), 'acme 2')
    t.equal(await body('/versioned', {}), 'the app')
    t.equal(await body('/hosted', { host: 'a.example' }), 'acme at a')
    t.equal(await body('/hosted', { host: 'b.example' }), 'the app at b')
    t.match(await body('/hosted', { host: 'c.example' }), 'not found')
    t.equal(await body('/versioned', { 'accept-version': '3.x' }), 'the app', 'which knows no versions')
  })

  t.test("a version that only the app has does not select the tenant's route", async t => {
    const app = appOf(t, { acme: versions })
    app.get('/versioned', { constraints: { version: '3.0.0' } }, async request => `the app 3, ${request.headers['accept-version']}`)
    const answer = await app.inject({ url: '/versioned', headers: { ...as('acme'), 'accept-version': '3.x' } })
    t.equal(answer.body, 'the app 3, 3.x')
  })

  t.test('routes see the accept-version header of the client', async t => {
    const app = appOf(t, { acme: async scope => { scope.get('/own', async request => request.headers['accept-version']) } })
    app.get('/versioned', { constraints: { version: '1.0.0' } }, async () => 'the app 1')
    t.equal((await app.inject({ url: '/own', headers: { ...as('acme'), 'accept-version': '9.x' } })).body, '9.x')
  })

  const planStrategy = {
    name: 'plan',
    storage: () => {
      const stored = new Map<string, unknown>()
      return { get: (key: string) => stored.get(key) ?? null, set: (key: string, value: unknown) => { stored.set(key, value) } }
    },
    validate: () => {}
  }
  const plans: FastifyPluginAsync = async scope => {
    scope.get('/plan', { constraints: { plan: 'gold' } }, async () => 'gold')
    scope.get('/plan', { constraints: { plan: 'silver' } }, async () => 'silver')
    scope.get('/free', async () => 'free')
  }
  const plan = async (app: FastifyInstance, value: string, url = '/plan'): Promise<string> => (await app.inject({ url, headers: { ...as('acme'), 'x-plan': value } })).body

  for (const temperature of TEMPERATURES) {
    t.test(`a constraint strategy of the app, ${temperature}`, async t => {
      const app = emptyApp(t)
      app.addConstraintStrategy({ ...planStrategy, deriveConstraint: (raw: IncomingMessage) => raw.headers['x-plan'] } as never)
      app.register(multitenant, { tenants: tenants({ acme: plans }) })
      await app.ready()
      await warm(app, temperature)
      t.equal(await plan(app, 'gold'), 'gold')
      t.equal(await plan(app, 'silver'), 'silver')
      t.match(await plan(app, 'lead'), 'not found')
      t.equal(await plan(app, 'gold', '/free'), 'free')
    })

    t.test(`an asynchronous constraint strategy, ${temperature}`, async t => {
      const app = emptyApp(t)
      const ran = recordHooks(app)
      app.addConstraintStrategy({
        ...planStrategy,
        deriveConstraint: (raw: IncomingMessage, _context: unknown, done: (error: Error | null, plan?: unknown) => void) => {
          if (raw.headers['x-plan'] === 'fails') setImmediate(done, new Error('derived wrongly'))
          else setImmediate(done, null, raw.headers['x-plan'])
        }
      } as never)
      app.register(multitenant, { tenants: tenants({ acme: plans }) })
      app.get('/shared', async () => 'the app')
      await app.ready()
      await warm(app, temperature)
      t.equal(await plan(app, 'gold'), 'gold')
      t.strictSame(ran.filter(name => name.startsWith('onRequest')), ['onRequest /plan'])
      t.equal(await plan(app, 'silver'), 'silver')
      t.match(await plan(app, 'lead'), 'not found')
      t.equal(await plan(app, 'gold', '/free'), 'free')
      t.equal(await plan(app, 'gold', '/shared'), 'the app')
      t.match(await plan(app, 'fails'), 'Unexpected error from async constraint', 'as Fastify says it: the cause is nobody else\'s')
    })
  }

  t.test('a constraint strategy that only the tenant has', async t => {
    const app = appOf(t, {
      acme: async (scope, options) => {
        scope.addConstraintStrategy({ ...planStrategy, deriveConstraint: (raw: IncomingMessage) => raw.headers['x-plan'] } as never)
        await plans(scope, options)
      }
    })
    t.equal(await plan(app, 'gold'), 'gold')
    t.equal(await plan(app, 'silver'), 'silver')
    t.equal(app.hasConstraintStrategy('plan'), false)
  })
})

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

function * chunks (data: Buffer, size: number): Generator<Buffer> {
  for (let at = 0; at < data.length; at += size) yield data.subarray(at, at + size)
}

/** The hooks that plain Fastify runs, in a child of the app. */
async function nativeCallNotFound (t: Teardown): Promise<string[]> {
  const app = emptyApp(t)
  const ran = recordHooks(app)
  app.setNotFoundHandler({ preHandler: async () => { ran.push('of the 404 handler') } }, async (_request, reply) => {
    reply.code(404)
    return {}
  })
  app.register(async child => {
    child.get('/own', (_request, reply) => { reply.callNotFound() })
  })
  await listen(app)
  await exchange(app, { url: '/own' })
  return ran
}

async function ask2 (client: ClientHttp2Session, headers: Record<string, string>, body: string): Promise<[number | undefined, string]> {
  const stream = client.request(headers, { endStream: body === '' })
  const responded = event(stream, 'response')
  if (body !== '') stream.end(body)
  const [head]: Array<IncomingHttpHeaders & IncomingHttpStatusHeader> = await responded
  return [head?.[':status'], await text(stream)]
}
