import cookie from '@fastify/cookie'
import jwt from '@fastify/jwt'
import session from '@fastify/session'
import Fastify from 'fastify'
import t from 'tap'
import { agree, AgreeStrategy, chain, HeaderStrategy, PathStrategy, SubdomainStrategy, TenantIdentificationStrategy } from '../../index.ts'
import { appWith, ask, pair } from '../fixtures/identification/asking.ts'
import type { Agreeing, Identify, IdentifyFunction } from '../../index.ts'

const MISMATCH = 'FST_TENANT_MISMATCH'
const REQUIRED = 'FST_TENANT_REQUIRED'
const INVALID = 'FST_TENANT_INVALID_ID'

const later = (id: string | null): IdentifyFunction => async () => id
const now = (id: string | null | undefined): IdentifyFunction => () => id
const must = (strategy: Identify): Agreeing => ({ strategy, required: true })

t.test('all members that find an id must find the same one', async t => {
  const cases: Array<[members: Array<Identify | Agreeing>, answer: string]> = [
    [[now('acme'), now('acme')], 'acme'],
    [[now('acme'), now(null), now(undefined)], 'acme'],
    [[now(null), later(null), now('acme')], 'acme'],
    [[later('acme'), now('acme'), later('acme')], 'acme'],
    [[now('acme'), now('globex')], MISMATCH],
    [[now('acme'), later('globex')], MISMATCH],
    [[later('acme'), now(null), later('globex')], MISMATCH],
    [[now('acme'), now('ACME')], MISMATCH],
    [[now('acme'), now('')], MISMATCH],
    [[now(''), now('')], INVALID],
    [[now(''), now(null)], INVALID],
    [[now(7 as never), now(7 as never)], INVALID],
    [[now(null), later(null)], 'initech'],
    [[must(now('acme')), now(null)], 'acme'],
    [[must(now('acme')), must(later('acme'))], 'acme'],
    [[must(now(null)), now('acme')], REQUIRED],
    [[now('acme'), must(later(null))], REQUIRED],
    [[must(now(null))], REQUIRED],
    [[{ strategy: now(null), required: false }, now('acme')], 'acme'],
    [[{ strategy: now(null) }, now('acme')], 'acme'],
    [[chain([now(null), now('acme')]), agree([later('acme'), now(null)])], 'acme'],
    [[chain([now(null), now('acme')]), agree([later('globex'), now(null)])], MISMATCH]
  ]
  for (const [at, [members, answer]] of cases.entries()) {
    const app = appWith(t, { identify: agree(members), defaultTenant: 'initech', tenants: { ...pair, initech: { plugin: pair.acme.plugin } } })
    t.equal(await ask(app, {}), answer, `case ${at}`)
  }
})

t.test('an error of a member refuses the request, whatever the others find', async t => {
  const broken: IdentifyFunction = () => { throw new Error('the database is down') }
  for (const member of [broken, async () => broken({} as never)]) {
    t.equal(await ask(appWith(t, { identify: agree([now('acme'), member]), defaultTenant: 'acme' }), {}), 'FST_TENANT_IDENTIFICATION_FAILED')
    t.equal(await ask(appWith(t, { identify: agree([member, now('acme')]), defaultTenant: 'acme' }), {}), 'FST_TENANT_IDENTIFICATION_FAILED')
  }
})

t.test('no promise is made unless a member returns one', async t => {
  const context = { app: Fastify(), named: () => new HeaderStrategy(), resolveHost: undefined }
  t.equal(agree([now('acme'), now('acme')]).extractTenantId({} as never, context), 'acme')
  t.type(agree([now('acme'), later('acme')]).extractTenantId({} as never, context), Promise)
})

t.test("members may be given by name, and read the plugin's options", async t => {
  const app = appWith(t, { identify: agree(['subdomain', must('header'), new PathStrategy()]), baseDomain: 'example.com' })
  const cases: Array<[host: string, id: string | undefined, url: string, answer: string]> = [
    ['acme.example.com', 'acme', '/who', MISMATCH],
    ['acme.example.com', 'acme', '/acme/who', 'acme'],
    ['acme.example.com', undefined, '/acme/who', REQUIRED],
    ['example.com', 'acme', '/acme/who?x', 'acme x'],
    ['globex.example.com', 'acme', '/acme/who', MISMATCH],
    ['globex.example.com', 'acme', '/shared', MISMATCH],
    ['acme.example.com', 'acme', '/shared', 'shared by acme'],
    ['a.b.example.com', 'acme', '/shared', INVALID]
  ]
  for (const [host, id, url, answer] of cases) {
    t.equal(await ask(app, { url, headers: { host, ...(id !== undefined && { 'x-tenant-id': id }) } }), answer, `${host} ${id} ${url}`)
  }
})

t.test('a preflight is not refused for the lack of a header, which it cannot carry', async t => {
  const app = appWith(t, { identify: agree(['host', must('header')]) })
  app.options('/shared', async ({ tenantId }) => `allowed by ${tenantId}`)
  const preflight = { method: 'OPTIONS', url: '/shared', headers: { host: 'acme.example', origin: 'https://a.example', 'access-control-request-method': 'GET' } } as const
  t.equal(await ask(app, preflight), 'allowed by acme')
  t.equal(await ask(app, { ...preflight, headers: { host: 'acme.example', origin: 'https://a.example' } }), REQUIRED)
  t.equal(await ask(app, { ...preflight, headers: { ...preflight.headers, 'x-tenant-id': 'globex' } }), MISMATCH)
})

t.test('a token of acme is refused on globex', async t => {
  const cases: Array<[identify: Identify, answer: string]> = [
    [agree(['host', must('jwt')]), MISMATCH],
    // Negative control: without agree() the host alone decides.
    [chain(['host', 'jwt']), 'globex']
  ]
  for (const [identify, onGlobex] of cases) {
    const app = appWith(t, { identify }, app => { app.register(jwt, { secret: 'secret' }) })
    await app.ready()
    const authorization = `Bearer ${app.jwt.sign({ tenant: 'acme' })}`
    t.equal(await ask(app, { headers: { host: 'acme.example', authorization } }), 'acme')
    t.equal(await ask(app, { headers: { host: 'globex.example', authorization } }), onGlobex)
  }
})

t.test('a session of acme is refused on globex', async t => {
  const ofSession: IdentifyFunction = ({ session }) => Reflect.get(session, 'tenant')
  for (const [identify, onGlobex] of [[agree(['host', ofSession]), MISMATCH], [chain(['host', ofSession]), 'globex']] as const) {
    const app = appWith(t, { identify, order: 'registered' }, app => {
      app.register(cookie)
      app.register(session, { secret: 's'.repeat(32), cookie: { secure: false } })
    })
    app.get('/login', async ({ session, tenantId }) => {
      Reflect.set(session, 'tenant', tenantId)
      return 'welcome'
    })
    const [{ name, value } = { name: '', value: '' }] = (await app.inject({ url: '/login', headers: { host: 'acme.example' } })).cookies
    t.equal(await ask(app, { headers: { host: 'acme.example' }, cookies: { [name]: value } }), 'acme')
    t.equal(await ask(app, { headers: { host: 'globex.example' }, cookies: { [name]: value } }), onGlobex)
    t.equal(await ask(app, { headers: { host: 'globex.example' } }), 'globex', 'who has no session may log in')
  }
})

t.test('the error names no tenant', async t => {
  const app = appWith(t, { identify: agree([now('acme'), now('globex')]) })
  const { body, statusCode } = await app.inject('/who')
  t.equal(statusCode, 403)
  t.notMatch(body, /acme|globex/)
})

t.test('an invalid member is refused', async t => {
  class Mine extends TenantIdentificationStrategy {
    strategy = 'mine'
    override extractTenantId (): string { return 'acme' }
  }
  t.type(agree([new Mine(), new SubdomainStrategy({ baseDomain: 'example.com' })]), AgreeStrategy, 'a strategy may have a property of that name')
  for (const members of [[], undefined, 'header', ['heeder'], [null], [{ strategy: 'heeder' }], [{ strategy: 'header', required: 'yes' }], [{ strategy: 'header', require: true }], [{}]]) {
    t.throws(() => agree(members as never), { code: 'FST_TENANT_OPTION_INVALID', message: /'identify'/ }, JSON.stringify(members))
  }
})
