import cookie from '@fastify/cookie'
import fp from 'fastify-plugin'
import t, { type Test } from 'tap'
import { CookieStrategy } from '../../index.ts'
import { appWith, ask, askOverSocket } from '../fixtures/identification/asking.ts'
import type { FastifyInstance } from 'fastify'
import type { Identify, MultitenantOptions } from '../../index.ts'

const INVALID = 'FST_TENANT_INVALID_ID'
const UNVERIFIED = 'FST_TENANT_UNVERIFIED'

/** An app that signs with this secret, ready. */
async function signing (t: Test, identify: Identify, options: MultitenantOptions = {}, of: object = { secret: 'secret' }): Promise<FastifyInstance> {
  const app = appWith(t, { identify, defaultTenant: 'globex', ...options }, app => { app.register(cookie, of) })
  await app.ready()
  return app
}

t.test('a signed cookie', async t => {
  for (const order of ['first', 'registered'] as const) {
    t.test(`names the tenant, and no other value does, order: ${order}`, async t => {
      const app = await signing(t, 'cookie', { order })
      const signed = (id: string): string => encodeURIComponent(app.signCookie(id))
      const [acme, signature] = app.signCookie('acme').split('.') as [string, string]
      const cases: Array<[header: string, answer: string]> = [
        [`tenant=${signed('acme')}`, 'acme'],
        [`theme=dark; tenant=${signed('acme')}; lang=en`, 'acme'],
        ['theme=dark', 'globex'],
        ['', 'globex'],
        [`Tenant=${signed('acme')}`, 'globex'],
        ['tenant=acme', UNVERIFIED],
        ['tenant=', UNVERIFIED],
        [`tenant=globex.${signature}`, UNVERIFIED],
        [`tenant=${acme}.${signature.slice(1)}`, UNVERIFIED],
        [`tenant=${acme}.`, UNVERIFIED],
        ['tenant=%E0%A4%A', UNVERIFIED],
        [`tenant=${signed('../acme')}`, INVALID],
        [`tenant=${signed('')}`, INVALID],
        [`tenant=${signed('hooli')}`, 'FST_TENANT_NOT_FOUND'],
        [`tenant=${signed('acme')}; tenant=${signed('globex')}`, INVALID],
        [`tenant=${signed('acme')};tenant=${signed('acme')}`, INVALID],
        [`tenant=${signed('acme')}; tenant`, INVALID],
        [`xtenant=${signed('globex')}; tenant=${signed('acme')}; tenantx=1`, 'acme']
      ]
      for (const [header, answer] of cases) t.equal(await ask(app, { headers: { cookie: header } }), answer, header)
      t.equal(await ask(app, {}), 'globex')
    })
  }

  t.test('may be in any of several cookie headers', async t => {
    const app = await signing(t, 'cookie')
    const lines = (...headers: string[]): string[] => ['GET /who HTTP/1.1', 'Host: a', ...headers]
    const [acme, globex] = ['acme', 'globex'].map(id => encodeURIComponent(app.signCookie(id)))
    t.equal(await askOverSocket(app, lines('Cookie: theme=dark', `Cookie: tenant=${acme}`)), 'acme')
    t.equal(await askOverSocket(app, lines(`Cookie: tenant=${acme}`, `Cookie: tenant=${globex}`)), INVALID)
  })

  t.test('is refused if signed with an unknown secret, and accepted if signed with an older one', async t => {
    const other = await signing(t, 'cookie', {}, { secret: 'other' })
    const app = await signing(t, 'cookie', {}, { secret: ['secret', 'older'] })
    const older = await signing(t, 'cookie', {}, { secret: 'older' })
    t.equal(await ask(app, { cookies: { tenant: other.signCookie('acme') } }), UNVERIFIED)
    t.equal(await ask(app, { cookies: { tenant: older.signCookie('acme') } }), 'acme')
  })

  t.test("may be verified by the app's own signer", async t => {
    const secret = { sign: (value: string) => `${value}!`, unsign: (value: string) => value.endsWith('!') ? { valid: true, value: value.slice(0, -1) } : { valid: true, value: null } }
    const app = await signing(t, 'cookie', {}, { secret })
    t.equal(await ask(app, { cookies: { tenant: 'acme!' } }), 'acme')
    t.equal(await ask(app, { cookies: { tenant: 'acme' } }), UNVERIFIED)
  })

  t.test('may have another name', async t => {
    for (const name of ['customer', '__proto__', 'constructor']) {
      const app = await signing(t, new CookieStrategy({ cookie: name }))
      t.equal(await ask(app, { headers: { cookie: `${name}=${encodeURIComponent(app.signCookie('acme'))}` } }), 'acme', name)
      t.equal(await ask(app, { headers: { cookie: 'tenant=acme' } }), 'globex', name)
      t.equal(await ask(app, {}), 'globex', name)
    }
  })
})

t.test('a cookie with signed: false', async t => {
  const app = await signing(t, new CookieStrategy({ signed: false }), {}, {})
  for (const [header, answer] of [['tenant=acme', 'acme'], ['tenant=%61cme', 'acme'], ['tenant=', INVALID], ['tenant=..', INVALID], ['tenant=acme; tenant=globex', INVALID], ['x=y', 'globex']] as const) {
    t.equal(await ask(app, { headers: { cookie: header } }), answer, header)
  }
})

t.test('works if @fastify/cookie parses in a later hook, does not parse, or is registered later', async t => {
  for (const hook of ['preHandler', false] as const) {
    const app = await signing(t, 'cookie', {}, { secret: 'secret', hook })
    t.equal(await ask(app, { cookies: { tenant: app.signCookie('acme') } }), 'acme', String(hook))
  }
  const app = appWith(t, { identify: 'cookie' })
  app.register(cookie, { secret: 'secret' })
  await app.ready()
  t.equal(await ask(app, { cookies: { tenant: app.signCookie('acme') } }), 'acme')
})

t.test('is refused at boot if the app cannot verify it', async t => {
  const refused = async (identify: Identify, message: RegExp, prepare?: (app: FastifyInstance) => void): Promise<void> => {
    await t.rejects(async () => appWith(t, { identify }, prepare).ready(), { code: 'FST_TENANT_OPTION_INVALID', message })
  }
  const bare = (app: FastifyInstance): void => { app.register(cookie) }
  await refused('cookie', /without "cookie" unless @fastify\/cookie is registered$/)
  await refused(new CookieStrategy({ signed: false }), /unless @fastify\/cookie is registered$/)
  await refused('cookie', /unless @fastify\/cookie is registered with a secret$/, bare)
  await refused('cookie', /unless @fastify\/cookie is registered$/, app => { app.register(async child => { child.register(fp(cookie), { secret: 'secret' }) }) })
  await t.resolves(async () => appWith(t, { identify: new CookieStrategy({ signed: false }) }, bare).ready())
})

t.test('refuses invalid options', async t => {
  const wrong: object[] = [{ cookie: '' }, { cookie: 'a b' }, { cookie: 'a=b' }, { cookie: 'ä' }, { cookie: 7 }, { signed: 'yes' }, { signed: null }]
  for (const options of wrong) t.throws(() => new CookieStrategy(options as never), { code: 'FST_TENANT_OPTION_INVALID' }, JSON.stringify(options))
})
