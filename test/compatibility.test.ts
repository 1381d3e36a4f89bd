import cookie from '@fastify/cookie'
import cors from '@fastify/cors'
import jwt from '@fastify/jwt'
import multipart from '@fastify/multipart'
import rateLimit from '@fastify/rate-limit'
import swagger from '@fastify/swagger'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import type { FastifyInstance, FastifyPluginAsync, InjectOptions, LightMyRequestResponse } from 'fastify'
import multitenant from '../index.ts'

type Place = 'before' | 'after'

interface Setup {
  /** What the app registers, and on which side of multitenant. */
  app?: (app: FastifyInstance) => void
  place?: Place
  acme?: FastifyPluginAsync
  globex?: FastifyPluginAsync
}

interface Compatible {
  app: FastifyInstance
  /** How often each hook of the app ran since this was last read. */
  ran: () => Record<string, number>
  /** Sends a request of a tenant, which its host names; of none when `id` is null. */
  send: (id: string | null, options: InjectOptions) => Promise<LightMyRequestResponse>
}

const PLACES: Place[] = ['before', 'after']
const NOTHING: FastifyPluginAsync = async () => {}
const ONCE = { onRequest: 1, preParsing: 1, preValidation: 1, preHandler: 1, preSerialization: 1, onSend: 1, onResponse: 1 }
const ORIGIN = 'https://shop.example'
const PREFLIGHT: InjectOptions = { method: 'OPTIONS', url: '/items', headers: { origin: ORIGIN, 'access-control-request-method': 'PUT' } }

async function start (t: Test, { app: register = () => {}, place = 'before', acme = NOTHING, globex = NOTHING }: Setup): Promise<Compatible> {
  const app = Fastify()
  t.teardown(() => app.close())
  const counts: Record<string, number> = {}
  const registerHere = (): void => {
    register(app)
    app.after(() => countHooks(app, counts))
  }

  if (place === 'before') registerHere()
  app.register(multitenant, { tenants: { acme: { plugin: acme }, globex: { plugin: globex } }, identify: 'subdomain', baseDomain: 'example.com' })
  if (place === 'after') registerHere()
  app.register(async app => { app.get('/shared', async request => ({ tenant: request.tenantId })) })
  await app.ready()
  await app.multitenant.init('acme')
  await app.multitenant.init('globex')

  return {
    app,
    ran: () => {
      const ran = { ...counts }
      for (const name of Object.keys(counts)) counts[name] = 0
      return ran
    },
    send: (id, options) => app.inject({ ...options, headers: { host: id === null ? 'example.com' : `${id}.example.com`, ...options.headers } })
  }
}

function countHooks (app: FastifyInstance, counts: Record<string, number>): void {
  const count = (name: string): void => { counts[name] = (counts[name] ?? 0) + 1 }
  app.addHook('onRequest', async () => count('onRequest'))
  app.addHook('preParsing', async () => count('preParsing'))
  app.addHook('preValidation', async () => count('preValidation'))
  app.addHook('preHandler', async () => count('preHandler'))
  app.addHook('preSerialization', async () => count('preSerialization'))
  app.addHook('onSend', async () => count('onSend'))
  app.addHook('onResponse', async () => count('onResponse'))
}

t.test('@fastify/cookie', async t => {
  const routes: FastifyPluginAsync = async scope => {
    scope.post('/login', async (_request, reply) => {
      reply.setCookie('user', 'ann', { signed: true, path: '/' })
      return { ok: true }
    })
    scope.get('/me', async request => request.unsignCookie(request.cookies['user'] ?? ''))
    scope.post('/logout', async (_request, reply) => {
      reply.clearCookie('user', { path: '/' })
      return { ok: true }
    })
  }
  const withCookies = (secret: string): FastifyPluginAsync => async scope => {
    await scope.register(cookie, { secret })
    await scope.register(routes)
  }

  for (const place of PLACES) {
    t.test(`in the app, ${place} multitenant`, async t => {
      const { send, ran } = await start(t, { place, app: app => app.register(cookie, { secret: 'of the app' }), acme: routes })
      const login = await send('acme', { method: 'POST', url: '/login' })
      t.same(ran(), ONCE)
      const [signed, ...more] = login.cookies
      t.match(signed, { name: 'user', value: /^ann\../, path: '/' })
      t.same(more, [])
      t.match((await send('acme', { url: '/me', cookies: { user: signed?.value ?? '' } })).json(), { valid: true, value: 'ann' })
      t.match((await send('acme', { url: '/me', cookies: { user: 'ann.forged' } })).json(), { valid: false, value: null })
      const logout = await send('acme', { method: 'POST', url: '/logout' })
      t.match(logout.cookies, [{ name: 'user', value: '', expires: new Date(0) }])
    })
  }

  t.test('in one tenant alone', async t => {
    const without: FastifyPluginAsync = async scope => { scope.get('/cookies', async request => ({ cookies: String(request.cookies) })) }
    const { app, send } = await start(t, { acme: withCookies('of acme'), globex: without })
    t.match((await send('acme', { method: 'POST', url: '/login' })).cookies, [{ name: 'user' }])
    t.same((await send('globex', { url: '/cookies', cookies: { user: 'ann' } })).json(), { cookies: 'undefined' })
    t.equal(app.multitenant.get('globex')?.app.hasReplyDecorator('setCookie'), false)
    t.equal(app.hasReplyDecorator('setCookie'), false)
  })

  t.test('in two tenants, each with its secret', async t => {
    const { send } = await start(t, { acme: withCookies('of acme'), globex: withCookies('of globex') })
    const user = (await send('acme', { method: 'POST', url: '/login' })).cookies[0]?.value ?? ''
    t.match((await send('acme', { url: '/me', cookies: { user } })).json(), { valid: true, value: 'ann' })
    t.match((await send('globex', { url: '/me', cookies: { user } })).json(), { valid: false, value: null })
  })
})

t.test('@fastify/cors', async t => {
  const routes: FastifyPluginAsync = async scope => {
    scope.get('/items', async () => ({ items: [] }))
    scope.put('/items', async () => ({ items: [] }))
  }
  const withCors = (origin: string): FastifyPluginAsync => async scope => {
    await scope.register(cors, { origin })
    await scope.register(routes)
  }
  const allowed = (response: LightMyRequestResponse): unknown => response.headers['access-control-allow-origin']

  for (const place of PLACES) {
    t.test(`in the app, ${place} multitenant`, async t => {
      const options = { origin: ORIGIN, methods: ['GET', 'PUT'], exposedHeaders: ['x-total'] }
      const { send, ran } = await start(t, { place, app: app => app.register(cors, options), acme: routes })
      const response = await send('acme', { url: '/items', headers: { origin: ORIGIN } })
      t.same(ran(), ONCE)
      t.equal(response.statusCode, 200)
      t.match(response.headers, { 'access-control-allow-origin': ORIGIN, 'access-control-expose-headers': 'x-total' })

      for (const id of ['acme', null]) {
        const preflight = await send(id, PREFLIGHT)
        t.equal(preflight.statusCode, 204, `a preflight of ${id}`)
        t.equal(allowed(preflight), ORIGIN)
        t.match(preflight.headers['access-control-allow-methods'], 'GET, PUT')
      }
      t.equal(allowed(await send('acme', { url: '/nowhere', headers: { origin: ORIGIN } })), ORIGIN, 'on a 404')
    })
  }

  t.test('in the app before multitenant its headers are on refusals too', async t => {
    const { send, ran } = await start(t, { app: app => app.register(cors, { origin: ORIGIN }) })
    const refused = await send('nobody', { url: '/items', headers: { origin: ORIGIN } })
    t.equal(refused.statusCode, 404)
    t.equal(refused.json().code, 'FST_TENANT_NOT_FOUND')
    t.equal(allowed(refused), ORIGIN)
    t.match(ran(), { onRequest: 1, onSend: 1, onResponse: 1, preParsing: undefined })
    t.equal((await send('nobody', PREFLIGHT)).statusCode, 204, 'a preflight is answered by cors, before the refusal')
  })

  t.test('in the app after multitenant a refusal comes before it, as any error of an earlier hook', async t => {
    const { send } = await start(t, { place: 'after', app: app => app.register(cors, { origin: ORIGIN }) })
    const refused = await send('nobody', { url: '/items', headers: { origin: ORIGIN } })
    t.equal(refused.statusCode, 404)
    t.equal(allowed(refused), undefined)
  })

  t.test('in one tenant alone', async t => {
    const { send } = await start(t, { acme: withCors(ORIGIN), globex: routes })
    const preflight = await send('acme', PREFLIGHT)
    t.equal(preflight.statusCode, 204)
    t.equal(allowed(preflight), ORIGIN)
    t.equal(allowed(await send('acme', { url: '/items' })), ORIGIN)
    t.equal((await send('globex', PREFLIGHT)).statusCode, 404)
    t.equal(allowed(await send('globex', { url: '/items' })), undefined)
    t.equal(allowed(await send(null, { url: '/shared' })), undefined)
  })

  t.test('in two tenants, each with its origin', async t => {
    const { send } = await start(t, { acme: withCors(ORIGIN), globex: withCors('https://globex.example') })
    t.equal(allowed(await send('acme', PREFLIGHT)), ORIGIN)
    t.equal(allowed(await send('globex', PREFLIGHT)), 'https://globex.example')
  })
})

t.test('@fastify/rate-limit', async t => {
  const routes: FastifyPluginAsync = async scope => { scope.get('/items', async () => ({ items: [] })) }
  const withLimit = (max: number): FastifyPluginAsync => async scope => {
    await scope.register(rateLimit, { max })
    await scope.register(routes)
  }
  const byTenant = { max: 2, keyGenerator: (request: { tenantId: string | null }) => request.tenantId ?? 'none' }
  const answers = async (send: Compatible['send'], id: string, times: number): Promise<number[]> => {
    const codes: number[] = []
    for (let time = 0; time < times; time++) codes.push((await send(id, { url: '/items' })).statusCode)
    return codes
  }

  for (const place of PLACES) {
    t.test(`in the app, ${place} multitenant, by tenant`, async t => {
      const { send, ran } = await start(t, { place, app: app => app.register(rateLimit, byTenant), acme: routes, globex: routes })
      const first = await send('acme', { url: '/items' })
      t.same(ran(), ONCE)
      t.match(first.headers, { 'x-ratelimit-limit': '2', 'x-ratelimit-remaining': '1' })
      t.same(await answers(send, 'acme', 2), [200, 429], 'every request counts once')
      t.same(await answers(send, 'globex', 3), [200, 200, 429], 'globex has a count of its own')
      t.type((await send('acme', { url: '/items' })).headers['retry-after'], 'string')
    })
  }

  t.test('in the app: a limit that one route of a tenant sets', async t => {
    const strict: FastifyPluginAsync = async scope => {
      scope.get('/items', { config: { rateLimit: { max: 1 } } }, async () => ({ items: [] }))
      scope.get('/free', { config: { rateLimit: false } }, async () => ({ items: [] }))
    }
    const { send } = await start(t, { app: app => app.register(rateLimit, { max: 100 }), acme: strict, globex: routes })
    t.same(await answers(send, 'acme', 2), [200, 429])
    t.same(await answers(send, 'globex', 2), [200, 200])
    t.notOk((await send('acme', { url: '/free' })).headers['x-ratelimit-limit'])
  })

  t.test('as a hook of the app before multitenant it counts refusals too', async t => {
    const { send } = await start(t, {
      app: app => {
        app.register(rateLimit, { global: false })
        app.after(() => app.addHook('onRequest', app.rateLimit({ max: 2 })))
      },
      acme: routes
    })
    t.same(await answers(send, 'nobody', 2), [404, 404])
    t.same(await answers(send, 'nobody', 1), [429])
    t.same(await answers(send, 'acme', 1), [429], 'the address has used up its limit')
  })

  t.test('in one tenant alone', async t => {
    const { app, send } = await start(t, { acme: withLimit(1), globex: routes })
    t.same(await answers(send, 'acme', 2), [200, 429])
    t.same(await answers(send, 'globex', 3), [200, 200, 200])
    t.notOk((await send('globex', { url: '/items' })).headers['x-ratelimit-limit'])
    t.equal((await send('acme', { url: '/shared' })).statusCode, 200, "the app's route has no limit")
    t.equal(app.hasDecorator('rateLimit'), false)
  })

  t.test('in two tenants, each with its limit and its count', async t => {
    const { send } = await start(t, { acme: withLimit(1), globex: withLimit(2) })
    t.same(await answers(send, 'acme', 2), [200, 429])
    t.same(await answers(send, 'globex', 3), [200, 200, 429])
  })
})

t.test('@fastify/jwt', async t => {
  const routes: FastifyPluginAsync = async scope => {
    scope.post('/login', { config: { open: true } }, async (_request, reply) => ({ token: await reply.jwtSign({ user: 'ann' }) }))
    scope.get('/me', async request => request.user)
  }
  const withJwt = (secret: string): FastifyPluginAsync => async scope => {
    await scope.register(jwt, { secret })
    guard(scope)
    await scope.register(routes)
  }
  const guard = (app: FastifyInstance): void => {
    app.addHook('onRequest', async request => {
      if (Reflect.get(request.routeOptions.config, 'open') !== true) await request.jwtVerify()
    })
  }
  const login = async (send: Compatible['send'], id: string): Promise<Record<string, string>> => {
    const { token } = (await send(id, { method: 'POST', url: '/login' })).json<{ token: string }>()
    return { authorization: `Bearer ${token}` }
  }

  for (const place of PLACES) {
    t.test(`in the app, ${place} multitenant`, async t => {
      const { send, ran } = await start(t, {
        place,
        app: app => {
          app.register(jwt, { secret: 'of the app' })
          guard(app)
        },
        acme: routes
      })
      const headers = await login(send, 'acme')
      ran()
      t.match((await send('acme', { url: '/me', headers })).json(), { user: 'ann' })
      t.same(ran(), ONCE)
      const refused = await send('acme', { url: '/me' })
      t.equal(refused.statusCode, 401)
      t.equal(refused.json().code, 'FST_JWT_NO_AUTHORIZATION_IN_HEADER')
      t.equal((await send('acme', { url: '/me', headers: { authorization: 'Bearer a.b.c' } })).statusCode, 401)
      t.equal((await send('acme', { url: '/shared' })).statusCode, 401)
      t.equal((await send('acme', { url: '/shared', headers })).statusCode, 200)
    })
  }

  t.test('in one tenant alone', async t => {
    const without: FastifyPluginAsync = async scope => { scope.get('/me', async request => ({ jwt: 'jwtVerify' in request })) }
    const { app, send } = await start(t, { acme: withJwt('of acme'), globex: without })
    t.match((await send('acme', { url: '/me', headers: await login(send, 'acme') })).json(), { user: 'ann' })
    t.equal((await send('acme', { url: '/me' })).statusCode, 401)
    t.same((await send('globex', { url: '/me' })).json(), { jwt: false })
    t.equal((await send('acme', { url: '/shared' })).statusCode, 200)
    t.equal(app.multitenant.get('globex')?.app.hasDecorator('jwt'), false)
    t.equal(app.hasDecorator('jwt'), false)
  })

  t.test('in two tenants, each with its secret', async t => {
    const { send } = await start(t, { acme: withJwt('of acme'), globex: withJwt('of globex') })
    const headers = await login(send, 'acme')
    t.equal((await send('acme', { url: '/me', headers })).statusCode, 200)
    const refused = await send('globex', { url: '/me', headers })
    t.equal(refused.statusCode, 401)
    t.equal(refused.json().code, 'FST_JWT_AUTHORIZATION_TOKEN_INVALID')
  })
})

t.test('@fastify/swagger', async t => {
  const schema = { summary: 'of a tenant', response: { 200: { type: 'object', properties: { id: { type: 'string' } } } } }
  const routes = (url: string): FastifyPluginAsync => async scope => { scope.get(url, { schema }, async () => ({ id: '1' })) }
  const withSwagger = (url: string): FastifyPluginAsync => async scope => {
    await scope.register(swagger, { openapi: { info: { title: url, version: '1.0.0' } } })
    await scope.register(routes(url))
    scope.get('/docs', async () => scope.swagger())
  }
  const paths = (document: object): string[] => Object.keys(Reflect.get(document, 'paths')).sort()

  for (const place of PLACES) {
    t.test(`in the app, ${place} multitenant`, async t => {
      const { app, send, ran } = await start(t, {
        place,
        app: app => app.register(swagger, { openapi: { info: { title: 'the app', version: '1.0.0' } } }),
        acme: routes('/items'),
        globex: routes('/orders')
      })
      t.same((await send('acme', { url: '/items' })).json(), { id: '1' })
      t.same(ran(), ONCE)
      t.same(paths(app.swagger()), ['/items', '/orders', '/shared'], 'the document has the routes of loaded tenants')
      t.match(app.swagger(), { info: { title: 'the app' }, paths: { '/items': { get: { summary: 'of a tenant' } } } })
    })

    t.test(`in the app, ${place} multitenant, with a schema of a tenant`, async t => {
      const { app } = await start(t, {
        place,
        app: app => app.register(swagger, { openapi: {} }),
        acme: async scope => {
          scope.addSchema({ $id: 'item', type: 'object', properties: { id: { type: 'string' } } })
          scope.get('/items', { schema: { response: { 200: { $ref: 'item#' } } } }, async () => ({ id: '1' }))
        }
      })
      t.same(paths(app.swagger()), ['/items', '/shared'])
    })
  }

  t.test('in one tenant alone', async t => {
    const { app, send } = await start(t, { acme: withSwagger('/items'), globex: routes('/orders') })
    t.same(paths((await send('acme', { url: '/docs' })).json()), ['/docs', '/items'])
    t.equal((await send('globex', { url: '/docs' })).statusCode, 404)
    t.equal(app.multitenant.get('globex')?.app.hasDecorator('swagger'), false)
    t.equal(app.hasDecorator('swagger'), false)
  })

  t.test('in two tenants, each with its document', async t => {
    const { send } = await start(t, { acme: withSwagger('/items'), globex: withSwagger('/orders') })
    t.same(paths((await send('acme', { url: '/docs' })).json()), ['/docs', '/items'])
    t.same(paths((await send('globex', { url: '/docs' })).json()), ['/docs', '/orders'])
  })
})

t.test('@fastify/multipart', async t => {
  const routes: FastifyPluginAsync = async scope => {
    scope.post('/files', async request => {
      const file = await request.file()
      return { name: file?.filename, text: String(await file?.toBuffer()) }
    })
  }
  const upload = (): InjectOptions => {
    const payload = new FormData()
    payload.set('file', new Blob(['hello']), 'hello.txt')
    return { method: 'POST', url: '/files', payload }
  }

  for (const place of PLACES) {
    t.test(`in the app, ${place} multitenant`, async t => {
      const { send, ran } = await start(t, { place, app: app => app.register(multipart), acme: routes })
      t.same((await send('acme', upload())).json(), { name: 'hello.txt', text: 'hello' })
      t.same(ran(), ONCE)
    })
  }

  t.test('in one tenant alone', async t => {
    const { send } = await start(t, {
      acme: async scope => {
        await scope.register(multipart)
        await scope.register(routes)
      },
      globex: async scope => { scope.post('/files', async () => ({})) }
    })
    t.same((await send('acme', upload())).json(), { name: 'hello.txt', text: 'hello' })
    t.equal((await send('globex', upload())).statusCode, 415)
  })
})
