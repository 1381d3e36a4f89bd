import cookie from '@fastify/cookie'
import jwt from '@fastify/jwt'
import t, { type Test } from 'tap'
import { JwtStrategy } from '../../index.ts'
import { appWith, ask, askOverSocket } from '../fixtures/identification/asking.ts'
import type { FastifyJWTOptions } from '@fastify/jwt'
import type { FastifyInstance } from 'fastify'
import type { Identify, MultitenantOptions } from '../../index.ts'

const INVALID = 'FST_TENANT_INVALID_ID'
const UNVERIFIED = 'FST_TENANT_UNVERIFIED'
const FAILED = 'FST_TENANT_IDENTIFICATION_FAILED'

/** An app with @fastify/jwt, ready. */
async function verifying (t: Test, identify: Identify = 'jwt', of: Partial<FastifyJWTOptions> = {}, options: MultitenantOptions = {}): Promise<FastifyInstance> {
  const app = appWith(t, { identify, defaultTenant: 'globex', ...options }, app => {
    app.register(cookie, { secret: 'of cookies' })
    app.register(jwt, { secret: 'secret', ...of })
  })
  await app.ready()
  return app
}

function bearer (token: string): { headers: { authorization: string } } {
  return { headers: { authorization: `Bearer ${token}` } }
}

/** An unsigned token: header and payload as text. */
function unsignedToken (header: object, payload: unknown): string {
  return [header, payload].map(part => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.') + '.'
}

t.test('a token names the tenant once it is verified', async t => {
  for (const order of ['first', 'registered'] as const) {
    t.test(`order: ${order}`, async t => {
      const app = await verifying(t, 'jwt', {}, { order })
      const token = app.jwt.sign({ tenant: 'acme' })
      const [header, , signature] = token.split('.')
      const forged = Buffer.from(JSON.stringify({ tenant: 'globex' })).toString('base64url')
      const cases: Array<[authorization: string | undefined, answer: string]> = [
        [`Bearer ${token}`, 'acme'],
        [`bearer ${token}`, 'acme'],
        [undefined, 'globex'],
        ['', 'globex'],
        ['Basic YWNtZTphY21l', 'globex'],
        ['Bearers x', 'globex'],
        ['Bearer', 'FST_JWT_NO_AUTHORIZATION_IN_HEADER'],
        ['Bearer a b', 'FST_JWT_BAD_REQUEST'],
        ['Bearer acme', 'FST_JWT_AUTHORIZATION_TOKEN_INVALID'],
        [`Bearer ${header}.${forged}.${signature}`, 'FST_JWT_AUTHORIZATION_TOKEN_INVALID'],
        [`Bearer ${token}x`, 'FST_JWT_AUTHORIZATION_TOKEN_INVALID'],
        [`Bearer ${unsignedToken({ alg: 'none', typ: 'JWT' }, { tenant: 'acme' })}`, 'FAST_JWT_MISSING_SIGNATURE'],
        [`Bearer ${app.jwt.sign({ tenant: 'acme' }, { key: 'other' })}`, 'FST_JWT_AUTHORIZATION_TOKEN_INVALID'],
        [`Bearer ${app.jwt.sign({ tenant: 'acme', exp: 1 })}`, 'FST_JWT_AUTHORIZATION_TOKEN_EXPIRED'],
        [`Bearer ${app.jwt.sign({ tenant: 'acme' }, { notBefore: 3600 })}`, UNVERIFIED],
        [`Bearer ${app.jwt.sign({ tenant: 'acme' }, { algorithm: 'HS512' })}`, 'acme'],
        [`Bearer ${app.jwt.sign({ tenant: 'hooli' })}`, 'FST_TENANT_NOT_FOUND'],
        [`Bearer ${app.jwt.sign({ tenant: '../acme' })}`, INVALID],
        [`Bearer ${app.jwt.sign({ tenant: '' })}`, INVALID],
        [`Bearer ${app.jwt.sign({ tenant: ['acme'] })}`, INVALID],
        [`Bearer ${app.jwt.sign({ tenant: 7 })}`, INVALID],
        [`Bearer ${app.jwt.sign({ tenant: null })}`, 'globex'],
        [`Bearer ${app.jwt.sign({ user: 'ann' })}`, 'globex']
      ]
      for (const [authorization, answer] of cases) {
        t.equal(await ask(app, { headers: { ...(authorization !== undefined && { authorization }) } }), answer, String(authorization))
      }
      t.equal((await app.inject({ url: '/who', ...bearer('acme') })).statusCode, 401)
      t.equal((await app.inject({ url: '/who', ...bearer(app.jwt.sign({ tenant: 'acme' }, { notBefore: 3600 })) })).statusCode, 401)
    })
  }

  t.test('two authorization headers are refused', async t => {
    const app = await verifying(t)
    const [acme, globex] = ['acme', 'globex'].map(tenant => `Authorization: Bearer ${app.jwt.sign({ tenant })}`) as [string, string]
    const lines = ['GET /who HTTP/1.1', 'Host: a']
    t.equal(await askOverSocket(app, [...lines, acme]), 'acme')
    t.equal(await askOverSocket(app, [...lines, acme, globex]), INVALID)
  })
})

t.test('the claim', async t => {
  const claims = { tenant: 'globex', org: 'acme', 'https://example.com/tenant': 'acme', app_metadata: { tenant: 'acme', 'a.b': 'acme', no: null, text: 'acme', list: ['acme'] } }
  const cases: Array<[claim: string | string[], answer: string]> = [
    ['org', 'acme'],
    ['https://example.com/tenant', 'acme'],
    [['app_metadata', 'tenant'], 'acme'],
    [['app_metadata', 'a.b'], 'acme'],
    [['app_metadata', 'list', '0'], 'acme'],
    [['org'], 'acme'],
    ['app_metadata.tenant', 'globex'],
    [['app_metadata', 'other'], 'globex'],
    [['app_metadata', 'no', 'tenant'], 'globex'],
    [['other', 'tenant'], 'globex'],
    ['constructor', 'globex'],
    [['__proto__', 'tenant'], 'globex'],
    [['app_metadata', 'text', 'length'], INVALID],
    ['app_metadata', INVALID]
  ]
  for (const [claim, answer] of cases) {
    const app = await verifying(t, new JwtStrategy({ claim }))
    t.equal(await ask(app, bearer(app.jwt.sign(claims))), answer, String(claim))
  }
})

t.test('@fastify/jwt verifies with its own options', async t => {
  t.test('fetches keys', async t => {
    const keys: Record<string, string> = { one: 'first key', two: 'second key' }
    const secret = async (_request: unknown, token: { header?: { kid?: string }, kid?: string }): Promise<string> => {
      const kid = (token.header ?? token).kid ?? ''
      if (keys[kid] === undefined) throw new Error('no such key')
      return keys[kid]
    }
    const app = await verifying(t, 'jwt', { secret: secret as never, decode: { complete: true } })
    const signed = (kid: string, key: string): { headers: { authorization: string } } => bearer(app.jwt.sign({ tenant: 'acme' }, { kid, key } as object))
    t.equal(await ask(app, signed('one', 'first key')), 'acme')
    t.equal(await ask(app, signed('two', 'second key')), 'acme')
    t.equal(await ask(app, signed('two', 'first key')), 'FST_JWT_AUTHORIZATION_TOKEN_INVALID')
    t.equal(await ask(app, signed('three', 'first key')), FAILED, 'a key that cannot be had is a failure')
  })

  t.test('checks which tokens it trusts', async t => {
    // A rejection without an error looks like a success to @fastify/jwt.
    const trusted = (_request: unknown, { jti }: { jti?: string }): Promise<boolean> =>
      jti === 'broken' ? new Promise((_resolve, reject) => { Reflect.apply(reject, null, []) }) : Promise.resolve(jti !== 'revoked')
    const app = await verifying(t, 'jwt', { trusted })
    t.equal(await ask(app, bearer(app.jwt.sign({ tenant: 'acme' }))), 'acme')
    t.equal(await ask(app, bearer(app.jwt.sign({ tenant: 'acme', jti: 'revoked' }))), 'FST_JWT_AUTHORIZATION_TOKEN_UNTRUSTED')
    t.equal(await ask(app, bearer(app.jwt.sign({ tenant: 'acme', jti: 'broken' }))), UNVERIFIED)
  })

  t.test('checks algorithms and issuers', async t => {
    const app = await verifying(t, 'jwt', { verify: { algorithms: ['HS256'], allowedIss: 'me' } })
    t.equal(await ask(app, bearer(app.jwt.sign({ tenant: 'acme', iss: 'me' }))), 'acme')
    t.equal(await ask(app, bearer(app.jwt.sign({ tenant: 'acme', iss: 'you' }))), 'FST_JWT_AUTHORIZATION_TOKEN_INVALID')
    t.equal(await ask(app, bearer(app.jwt.sign({ tenant: 'acme', iss: 'me' }, { algorithm: 'HS512' }))), UNVERIFIED)
  })

  t.test('applies formatUser to the payload', async t => {
    const app = await verifying(t, new JwtStrategy({ claim: 'customer' }), { formatUser: payload => ({ customer: Reflect.get(payload as object, 'tenant') }) })
    t.equal(await ask(app, bearer(app.jwt.sign({ tenant: 'acme' }))), 'acme')
  })

  t.test('reads the token from where it is configured', async t => {
    const app = await verifying(t, 'jwt', { verify: { extractToken: ({ headers }) => headers['x-token'] as string } })
    const token = app.jwt.sign({ tenant: 'acme' })
    t.equal(await ask(app, { headers: { 'x-token': token } }), 'acme')
    t.equal(await ask(app, { headers: { 'x-token': 'acme' } }), 'FST_JWT_AUTHORIZATION_TOKEN_INVALID')
    t.equal(await ask(app, bearer(token)), 'globex', 'what is elsewhere is none')
  })

  for (const order of ['first', 'registered'] as const) {
    t.test(`reads it from an unparsed cookie, order: ${order}`, async t => {
      const app = await verifying(t, 'jwt', { cookie: { cookieName: 'token', signed: false } }, { order })
      const [acme, globex] = ['acme', 'globex'].map(tenant => app.jwt.sign({ tenant })) as [string, string]
      t.equal(await ask(app, { cookies: { token: acme } }), 'acme')
      t.equal(await ask(app, { cookies: { token: 'acme' } }), 'FST_JWT_AUTHORIZATION_TOKEN_INVALID')
      t.equal(await ask(app, { headers: { cookie: 'token=' } }), 'FST_JWT_NO_AUTHORIZATION_IN_COOKIE')
      t.equal(await ask(app, { cookies: { other: acme } }), 'globex')
      t.equal(await ask(app, { ...bearer(acme), cookies: { token: globex } }), 'acme', 'the header comes first')
    })

    t.test(`reads it from a signed cookie, order: ${order}`, async t => {
      const app = await verifying(t, 'jwt', { cookie: { cookieName: 'token', signed: true }, verify: { onlyCookie: true } }, { order })
      const token = app.jwt.sign({ tenant: 'acme' })
      t.equal(await ask(app, { cookies: { token: app.signCookie(token) } }), 'acme')
      t.equal(await ask(app, { cookies: { token } }), 'FST_JWT_NO_AUTHORIZATION_IN_COOKIE')
      t.equal(await ask(app, bearer(token)), 'globex', 'where it is to be a cookie, the header counts for nothing')
    })
  }

  t.test('reads it by namespace', async t => {
    const app = appWith(t, { identify: new JwtStrategy({ namespace: 'users' }), defaultTenant: 'globex' }, app => {
      app.register(jwt, { secret: 'of users', namespace: 'users' })
      app.register(jwt, { secret: 'of admins', namespace: 'admins', jwtVerify: 'verifyAdmin' })
    })
    app.get('/admin', { config: { identify: new JwtStrategy({ namespace: 'admins', jwtVerify: 'verifyAdmin' }) } }, async ({ tenantId }) => tenantId)
    await app.ready()
    const { users, admins } = app.jwt as unknown as Record<'users' | 'admins', FastifyInstance['jwt']>
    t.equal(await ask(app, bearer(users.sign({ tenant: 'acme' }))), 'acme')
    t.equal(await ask(app, bearer(admins.sign({ tenant: 'acme' }))), 'FST_JWT_AUTHORIZATION_TOKEN_INVALID')
    t.equal(await ask(app, { url: '/admin', ...bearer(admins.sign({ tenant: 'acme' })) }), 'acme')
    t.equal(await ask(app, { url: '/admin', ...bearer(users.sign({ tenant: 'acme' })) }), 'FST_JWT_AUTHORIZATION_TOKEN_INVALID')
  })
})

t.test('sets no user before a hook of the app has verified the token', async t => {
  const app = await verifying(t)
  app.multitenant.setIdentificationStrategy('jwt')
  const token = app.jwt.sign({ tenant: 'acme' })
  t.equal(await ask(app, { url: '/shared', ...bearer(token) }), 'shared by acme')

  const seen = appWith(t, { identify: 'jwt' }, app => { app.register(jwt, { secret: 'secret' }) })
  seen.get('/user', async ({ user, tenantId }) => ({ user: user ?? null, tenantId }))
  await seen.ready()
  t.strictSame((await seen.inject({ url: '/user', ...bearer(token) })).json(), { user: null, tenantId: 'acme' })
})

t.test('works in children that were created before @fastify/jwt, and if that is registered last', async t => {
  const app = appWith(t, { identify: 'jwt' }, app => {
    app.register(async child => { child.get('/early', async ({ tenantId }) => tenantId) })
  })
  app.register(jwt, { secret: 'secret' })
  await app.ready()
  t.equal(await ask(app, { url: '/early', ...bearer(app.jwt.sign({ tenant: 'acme' })) }), 'acme')
})

t.test('is refused at boot if the app cannot verify tokens', async t => {
  const refused = async (identify: Identify, message: RegExp, prepare?: (app: FastifyInstance) => void): Promise<void> => {
    await t.rejects(async () => appWith(t, { identify }, prepare).ready(), { code: 'FST_TENANT_OPTION_INVALID', message })
  }
  const plain = (app: FastifyInstance): void => { app.register(jwt, { secret: 'secret' }) }
  const missing = /without "jwt" unless @fastify\/jwt is registered$/
  await refused('jwt', missing)
  await refused('jwt', missing, app => { app.register(async child => { await child.register(jwt, { secret: 'secret' }) }) })
  await refused(new JwtStrategy({ namespace: 'users' }), missing)
  await refused(new JwtStrategy({ namespace: 'users' }), missing, plain)
  await refused(new JwtStrategy({ jwtVerify: 'verify' }), missing, plain)
  await refused('jwt', missing, app => { app.register(jwt, { secret: 'secret', namespace: 'users' }) })
  await refused('jwt', /without "jwt" unless @fastify\/cookie is registered$/, app => { app.register(jwt, { secret: 'secret', cookie: { cookieName: 'token', signed: false } }) })
  await refused('jwt', /without "jwt" unless @fastify\/cookie is registered with a secret$/, app => {
    app.register(cookie)
    app.register(jwt, { secret: 'secret', cookie: { cookieName: 'token', signed: true } })
  })
})

t.test('refuses an invalid claim', async t => {
  for (const claim of ['', [], [''], ['a', 7], 7, null, {}]) {
    t.throws(() => new JwtStrategy({ claim } as never), { code: 'FST_TENANT_OPTION_INVALID', message: /'claim'/ }, JSON.stringify(claim))
  }
})
