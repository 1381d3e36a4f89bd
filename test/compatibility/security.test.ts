import auth from '@fastify/auth'
import basicAuth from '@fastify/basic-auth'
import bearerAuth from '@fastify/bearer-auth'
import cookie from '@fastify/cookie'
import cors from '@fastify/cors'
import csrf from '@fastify/csrf-protection'
import helmet from '@fastify/helmet'
import jwt from '@fastify/jwt'
import oauth2 from '@fastify/oauth2'
import rateLimit from '@fastify/rate-limit'
import Fastify from 'fastify'
import t from 'tap'
import type { FastifyPluginAsync } from 'fastify'
import { tryAll } from '../fixtures/compatibility/suite.ts'
import type { Client } from '../fixtures/compatibility/start.ts'

const item: FastifyPluginAsync = async scope => { scope.get('/item', async () => ({ item: 1 })) }
const post: FastifyPluginAsync = async scope => { scope.post('/item', async () => ({ item: 1 })) }

function basic (user: string, password: string): { authorization: string } {
  return { authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` }
}

async function status (client: Client, headers: Record<string, string> = {}, url = '/item'): Promise<number> {
  return (await client.send({ url, headers })).statusCode
}

/** The login page of an identity provider: it gives everybody a code, and a token for that code. */
const provider = Fastify()
provider.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string' }, async (_request: unknown, body: string) => Object.fromEntries(new URLSearchParams(body)))
provider.get<{ Querystring: { redirect_uri: string, state: string } }>('/authorize', async ({ query }, reply) => {
  return reply.redirect(`${query.redirect_uri}?code=the-code&state=${query.state}`)
})
provider.post<{ Body: { code: string } }>('/token', async ({ body, headers }) => ({ access_token: `for ${body.code} of ${headers.authorization}`, token_type: 'bearer' }))
const issuer = await provider.listen({ host: '127.0.0.1', port: 0 })
t.teardown(() => provider.close())

async function logIn (client: Client): Promise<{ state: string, cookies: Record<string, string> }> {
  const started = await client.send('/login')
  const authorized = await fetch(started.headers.location as string, { redirect: 'manual' })
  const url = new URL(authorized.headers.get('location') ?? '')
  return { state: url.search, cookies: Object.fromEntries(started.cookies.map(({ name, value }) => [name, value])) }
}

t.test('security', async t => tryAll(t, 'security', {
  '@fastify/auth': {
    plugin: owner => async app => {
      await app.register(auth)
      app.decorate('users', [owner] as never)
    },
    routes: async scope => {
      const byUser = async ({ headers }: { headers: Record<string, unknown> }): Promise<void> => {
        if (!scope.getDecorator<unknown[]>('users').includes(headers['x-user'])) throw new Error('no such user')
      }
      const byKey = async ({ headers }: { headers: Record<string, unknown> }): Promise<void> => {
        if (headers['x-key'] !== 'key') throw new Error('no such key')
      }
      scope.get('/item', { preHandler: scope.auth([byUser, byKey]) }, async () => ({ item: 1 }))
      scope.get('/both', { preHandler: scope.auth([byUser, byKey], { relation: 'and' }) }, async () => ({ item: 2 }))
    },
    works: async (t, client, owner) => {
      t.same([await status(client), await status(client, { 'x-user': owner }), await status(client, { 'x-key': 'key' })], [401, 200, 200])
      t.same([await status(client, { 'x-user': owner }, '/both'), await status(client, { 'x-user': owner, 'x-key': 'key' }, '/both')], [401, 200])
    },
    decorates: ['app.auth']
  },
  '@fastify/basic-auth': {
    plugin: owner => async app => {
      await app.register(basicAuth, {
        validate: async (user, password) => {
          if (user !== 'ann' || password !== owner) throw new Error('wrong password')
        },
        authenticate: { realm: owner }
      })
      app.addHook('onRequest', app.basicAuth)
    },
    routes: item,
    works: async (t, client, owner) => {
      t.same([await status(client, basic('ann', owner)), await status(client, basic('ann', 'guessed'))], [200, 401])
      t.match((await client.send('/item')).headers, { 'www-authenticate': `Basic realm="${owner}"` })
    },
    bare: item,
    decorates: ['app.basicAuth'],
    absent: async (t, globex) => { t.equal(await status(globex), 200) },
    apart: async (t, _acme, globex) => { t.equal(await status(globex, basic('ann', 'acme')), 401) }
  },
  '@fastify/bearer-auth': {
    plugin: owner => async app => { await app.register(bearerAuth, { keys: new Set([owner]) }) },
    routes: item,
    works: async (t, client, owner) => {
      t.same([await status(client), await status(client, { authorization: `Bearer ${owner}` }), await status(client, { authorization: 'Bearer x' })], [401, 200, 401])
    },
    bare: item,
    absent: async (t, globex) => { t.equal(await status(globex), 200) },
    apart: async (t, _acme, globex) => { t.equal(await status(globex, { authorization: 'Bearer acme' }), 401) }
  },
  '@fastify/cors': {
    plugin: owner => async app => { await app.register(cors, { origin: `https://${owner}.example`, methods: ['GET', 'PUT'], exposedHeaders: ['x-total'] }) },
    routes: item,
    works: async (t, client, owner) => {
      const origin = `https://${owner}.example`
      t.match((await client.send({ url: '/item', headers: { origin } })).headers, { 'access-control-allow-origin': origin, 'access-control-expose-headers': 'x-total' })
      const preflight = await client.send({ method: 'OPTIONS', url: '/item', headers: { origin, 'access-control-request-method': 'PUT' } })
      t.equal(preflight.statusCode, 204)
      t.match(preflight.headers, { 'access-control-allow-origin': origin, 'access-control-allow-methods': 'GET, PUT' })
    },
    bare: item,
    absent: async (t, globex) => {
      t.equal((await globex.send('/item')).headers['access-control-allow-origin'], undefined)
      t.equal((await globex.send({ method: 'OPTIONS', url: '/item', headers: { origin: 'https://acme.example', 'access-control-request-method': 'PUT' } })).statusCode, 404)
    },
    note: 'Registered after multitenant, its headers are not on refusals such as an unknown tenant.'
  },
  '@fastify/csrf-protection': {
    plugin: owner => async app => {
      await app.register(cookie, { secret: owner })
      await app.register(csrf, { cookieOpts: { signed: true } })
    },
    routes: async scope => {
      scope.get('/token', async (_request, reply) => ({ token: reply.generateCsrf() }))
      scope.post('/item', { onRequest: scope.csrfProtection }, async () => ({ item: 1 }))
    },
    works: async (t, client) => {
      const form = await client.send('/token')
      const cookies = Object.fromEntries(form.cookies.map(({ name, value }) => [name, value]))
      const headers = { 'csrf-token': form.json().token }
      t.equal((await client.send({ method: 'POST', url: '/item', headers, cookies })).statusCode, 200)
      t.match((await client.send({ method: 'POST', url: '/item', headers: { 'csrf-token': 'forged' }, cookies })).json(), { statusCode: 403, code: 'FST_CSRF_INVALID_TOKEN' })
      t.match((await client.send({ method: 'POST', url: '/item', headers })).json(), { statusCode: 403, code: 'FST_CSRF_MISSING_SECRET' })
    },
    bare: post,
    decorates: ['app.csrfProtection', 'reply.generateCsrf'],
    absent: async (t, globex) => { t.equal((await globex.send({ method: 'POST', url: '/item' })).statusCode, 200) },
    apart: async (t, acme, globex) => {
      const form = await acme.send('/token')
      const cookies = Object.fromEntries(form.cookies.map(({ name, value }) => [name, value]))
      t.equal((await globex.send({ method: 'POST', url: '/item', headers: { 'csrf-token': form.json().token }, cookies })).statusCode, 403)
    }
  },
  '@fastify/helmet': {
    plugin: owner => async app => {
      await app.register(helmet, { enableCSPNonces: true, contentSecurityPolicy: { directives: { 'default-src': [`https://${owner}.example`] } } })
    },
    routes: async scope => {
      scope.get('/item', async (_request, reply) => reply.cspNonce)
      scope.get('/off', { helmet: false }, async () => ({ item: 1 }))
    },
    works: async (t, client, owner) => {
      const response = await client.send('/item')
      t.match(response.headers, { 'x-frame-options': 'SAMEORIGIN', 'content-security-policy': `default-src https://${owner}.example` })
      t.match(response.headers['content-security-policy'], response.json().script)
      t.equal((await client.send('/off')).headers['x-frame-options'], undefined)
    },
    bare: item,
    decorates: ['reply.helmet', 'reply.cspNonce'],
    absent: async (t, globex) => { t.equal((await globex.send('/item')).headers['x-frame-options'], undefined) }
  },
  '@fastify/jwt': {
    plugin: owner => async app => {
      await app.register(jwt, { secret: `of ${owner}` })
      app.addHook('onRequest', async request => {
        if (Reflect.get(request.routeOptions.config, 'open') !== true) await request.jwtVerify()
      })
    },
    routes: async scope => {
      scope.post('/login', { config: { open: true } as object }, async (_request, reply) => ({ token: await reply.jwtSign({ user: 'ann' }) }))
      scope.get('/item', async request => request.user)
    },
    works: async (t, client) => {
      const { token } = (await client.send({ method: 'POST', url: '/login' })).json()
      t.match((await client.send({ url: '/item', headers: { authorization: `Bearer ${token}` } })).json(), { user: 'ann' })
      t.match((await client.send('/item')).json(), { statusCode: 401, code: 'FST_JWT_NO_AUTHORIZATION_IN_HEADER' })
      t.equal(await status(client, { authorization: 'Bearer a.b.c' }), 401)
    },
    bare: item,
    decorates: ['app.jwt', 'request.jwtVerify', 'reply.jwtSign'],
    absent: async (t, globex) => { t.equal(await status(globex), 200) },
    apart: async (t, acme, globex) => {
      const { token } = (await acme.send({ method: 'POST', url: '/login' })).json()
      t.match((await globex.send({ url: '/item', headers: { authorization: `Bearer ${token}` } })).json(), { statusCode: 401, code: 'FST_JWT_AUTHORIZATION_TOKEN_INVALID' })
    }
  },
  '@fastify/oauth2': {
    plugin: owner => async app => {
      await app.register(oauth2, {
        name: 'provider',
        credentials: { client: { id: owner, secret: 'x' }, auth: { authorizeHost: issuer, authorizePath: '/authorize', tokenHost: issuer, tokenPath: '/token' } },
        startRedirectPath: '/login',
        callbackUri: request => `http://${request.host}/callback`
      })
    },
    routes: async scope => {
      scope.get('/callback', async request => {
        const { token } = await scope.getDecorator<{ getAccessTokenFromAuthorizationCodeFlow: (request: unknown) => Promise<{ token: object }> }>('provider').getAccessTokenFromAuthorizationCodeFlow(request)
        return token
      })
    },
    works: async (t, client, owner) => {
      const { state, cookies } = await logIn(client)
      const { authorization } = basic(owner, 'x')
      t.match((await client.send({ url: `/callback${state}`, cookies })).json(), { access_token: `for the-code of ${authorization}` })
      t.equal((await client.send({ url: '/callback?code=the-code&state=forged', cookies })).statusCode, 500)
    },
    decorates: ['app.provider', 'app.oauth2Provider'],
    absent: async (t, globex) => { t.equal(await status(globex, {}, '/login'), 404) },
    apart: async (t, acme, globex) => {
      const { state } = await logIn(acme)
      const { cookies } = await logIn(globex)
      t.equal((await globex.send({ url: `/callback${state}`, cookies })).statusCode, 500, 'a state of another tenant')
    }
  },
  '@fastify/rate-limit': {
    plugin: owner => async app => { await app.register(rateLimit, { max: owner === 'globex' ? 3 : 2 }) },
    routes: item,
    works: async (t, client, owner) => {
      const max = owner === 'globex' ? 3 : 2
      const first = await client.send('/item')
      t.match(first.headers, { 'x-ratelimit-limit': String(max), 'x-ratelimit-remaining': String(max - 1) })
      const codes: number[] = []
      for (let time = 0; time < max; time++) codes.push(await status(client))
      t.same(codes, [...Array(max - 1).fill(200), 429], 'every request counts once')
    },
    bare: item,
    decorates: ['app.rateLimit', 'app.createRateLimit'],
    absent: async (t, globex) => { t.notOk((await globex.send('/item')).headers['x-ratelimit-limit']) },
    note: 'Registered by the app, it counts by address, across tenants: set `keyGenerator` to count by tenant.'
  }
}))
