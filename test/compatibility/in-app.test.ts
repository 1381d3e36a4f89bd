import cookie from '@fastify/cookie'
import cors from '@fastify/cors'
import jwt from '@fastify/jwt'
import multipart from '@fastify/multipart'
import rateLimit from '@fastify/rate-limit'
import swagger from '@fastify/swagger'
import t from 'tap'
import type { FastifyInstance, FastifyPluginAsync, InjectOptions, LightMyRequestResponse } from 'fastify'
import { ONCE, start } from '../fixtures/compatibility/start.ts'
import type { Client } from '../fixtures/compatibility/start.ts'

const SIDES = ['before', 'after'] as const
const ORIGIN = 'https://shop.example'
const PREFLIGHT: InjectOptions = { method: 'OPTIONS', url: '/items', headers: { origin: ORIGIN, 'access-control-request-method': 'PUT' } }

const items: FastifyPluginAsync = async scope => {
  scope.get('/items', async () => ({ items: [] }))
  scope.put('/items', async () => ({ items: [] }))
}

function allowed (response: LightMyRequestResponse): unknown {
  return response.headers['access-control-allow-origin']
}

async function statuses ({ send }: Client, times: number): Promise<number[]> {
  const codes: number[] = []
  for (let time = 0; time < times; time++) codes.push((await send('/items')).statusCode)
  return codes
}

t.test('each hook of the app runs once, whatever plugins the app has', async t => {
  const all = (app: FastifyInstance): void => {
    app.register(cookie).register(cors).register(multipart).register(rateLimit).register(swagger).register(jwt, { secret: 'of the app' })
  }
  for (const side of SIDES) {
    const { client, ran } = await start(t, { side, app: all, acme: items })
    t.equal((await client('acme').send('/items')).statusCode, 200)
    t.same(ran(), ONCE, side)
  }
})

t.test('@fastify/cors in the app', async t => {
  const setup = { app: (app: FastifyInstance) => { app.register(cors, { origin: ORIGIN }) }, acme: items }

  t.test('answers preflights with and without a tenant, and adds its headers to 404s', async t => {
    for (const side of SIDES) {
      const { client } = await start(t, { ...setup, side })
      for (const id of ['acme', null]) {
        const preflight = await client(id).send(PREFLIGHT)
        t.same([preflight.statusCode, allowed(preflight)], [204, ORIGIN], `a preflight of ${id}`)
      }
      t.equal(allowed(await client('acme').send({ url: '/nowhere', headers: { origin: ORIGIN } })), ORIGIN, 'on a 404')
    }
  })

  t.test('adds its headers to refusals if registered before multitenant', async t => {
    const { client, ran } = await start(t, setup)
    const refused = await client('nobody').send({ url: '/items', headers: { origin: ORIGIN } })
    t.same([refused.statusCode, refused.json().code, allowed(refused)], [404, 'FST_TENANT_NOT_FOUND', ORIGIN])
    t.match(ran(), { onRequest: 1, onSend: 1, onResponse: 1, preParsing: undefined })
    t.equal((await client('nobody').send(PREFLIGHT)).statusCode, 204, 'a preflight is answered by cors, before the refusal')
  })

  t.test('does not run for refusals if registered after multitenant', async t => {
    const { client } = await start(t, { ...setup, side: 'after' })
    const refused = await client('nobody').send({ url: '/items', headers: { origin: ORIGIN } })
    t.same([refused.statusCode, allowed(refused)], [404, undefined])
  })
})

t.test('@fastify/rate-limit in the app', async t => {
  t.test('limits by tenant', async t => {
    const options = { max: 2, keyGenerator: (request: { tenantId: string | null }) => request.tenantId ?? 'none' }
    for (const side of SIDES) {
      const { client } = await start(t, { side, app: app => { app.register(rateLimit, options) }, acme: items, globex: items })
      t.same(await statuses(client('acme'), 3), [200, 200, 429], 'every request counts once')
      t.same(await statuses(client('globex'), 3), [200, 200, 429], 'globex has a count of its own')
      t.type((await client('acme').send('/items')).headers['retry-after'], 'string')
    }
  })

  t.test('enforces the limit of a single route of a tenant', async t => {
    const strict: FastifyPluginAsync = async scope => {
      scope.get('/items', { config: { rateLimit: { max: 1 } } }, async () => ({ items: [] }))
      scope.get('/free', { config: { rateLimit: false } }, async () => ({ items: [] }))
    }
    const { client } = await start(t, { app: app => { app.register(rateLimit, { max: 100 }) }, acme: strict, globex: items })
    t.same(await statuses(client('acme'), 2), [200, 429])
    t.same(await statuses(client('globex'), 2), [200, 200])
    t.notOk((await client('acme').send('/free')).headers['x-ratelimit-limit'])
  })

  t.test('counts refusals as a hook before multitenant', async t => {
    const { client } = await start(t, {
      app: app => {
        app.register(rateLimit, { global: false })
        app.after(() => app.addHook('onRequest', app.rateLimit({ max: 2 })))
      },
      acme: items
    })
    t.same(await statuses(client('nobody'), 3), [404, 404, 429])
    t.same(await statuses(client('acme'), 1), [429], 'the address has used up its limit')
  })
})

t.test('a plugin of a tenant does not affect routes of the app', async t => {
  const own: FastifyPluginAsync = async scope => {
    await scope.register(rateLimit, { max: 1 })
    await scope.register(cors, { origin: ORIGIN })
    await scope.register(jwt, { secret: 'of acme' })
    scope.addHook('onRequest', async request => { await request.jwtVerify() })
    await scope.register(items)
  }
  const { client } = await start(t, { acme: own })
  const { send } = client('acme')
  t.equal((await send('/items')).statusCode, 401)
  for (let time = 0; time < 3; time++) {
    const shared = await send('/shared')
    t.same([shared.statusCode, allowed(shared)], [200, undefined])
  }
  t.equal((await client(null).send('/shared')).statusCode, 200)
})

t.test('@fastify/swagger in the app', async t => {
  const schema = { summary: 'of a tenant', response: { 200: { $ref: 'item#' } } }
  const routes = (url: string): FastifyPluginAsync => async scope => {
    scope.addSchema({ $id: 'item', type: 'object', properties: { id: { type: 'string' } } })
    scope.get(url, { schema }, async () => ({ id: '1' }))
  }
  for (const side of SIDES) {
    const { app, client } = await start(t, {
      side,
      app: app => { app.register(swagger, { openapi: { info: { title: 'the app', version: '1.0.0' } } }) },
      acme: routes('/items'),
      globex: routes('/orders')
    })
    t.same((await client('acme').send('/items')).json(), { id: '1' })
    const document = app.swagger()
    t.same(Object.keys(document.paths ?? {}).sort(), ['/items', '/orders', '/shared'], 'the document has the routes of loaded tenants')
    t.match(document, { info: { title: 'the app' }, paths: { '/items': { get: { summary: 'of a tenant' } } } })
  }
})
