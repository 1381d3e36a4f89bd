import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { join } from 'node:path'
import cookie from '@fastify/cookie'
import jwt from '@fastify/jwt'
import rateLimit from '@fastify/rate-limit'
import session from '@fastify/session'
import swagger from '@fastify/swagger'
import Fastify from 'fastify'
import fp from 'fastify-plugin'
import t, { type Test } from 'tap'
import multitenant, { agree, PluginLoadingStrategy, TenantIdentificationStrategy } from '../../index.ts'
import { postgresTenants } from '../../lib/sources/postgres/postgres.ts'
import { emptyApp } from '../fixtures/http/app.ts'
import { openDatabase } from '../fixtures/postgres/database.ts'
import { ROOT } from '../fixtures/readme/markdown.ts'
import { AsyncFunction, as, codeOf, sectionOf, sections, untested, who } from '../fixtures/readme/guide.ts'
import type { FastifyInstance, FastifyPluginAsync, FastifyRequest } from 'fastify'
import type { InlineTenant, MultitenantOptions } from '../../index.ts'
import type { PostgresTenantsOptions } from '../../lib/sources/postgres/postgres.ts'

/** The plugin with these tenants, unless the options name others. */
function withTenants (tenants: Record<string, InlineTenant>): FastifyPluginAsync<MultitenantOptions> {
  return fp(async (app, options: MultitenantOptions) => { app.register(multitenant, { tenants, ...options }) })
}

/** Runs a fragment with the variables that it uses, and returns the value of the expression `returning`. */
function fragment (heading: string, given: Record<string, unknown>, returning = ''): Promise<unknown> {
  const code = codeOf(heading, 'js').replaceAll("'/srv/tenants/standard'", JSON.stringify(join(ROOT, 'test/fixtures/readme/standard')))
  return new AsyncFunction(...Object.keys(given), `${code}\nreturn ${returning}`)(...Object.values(given))
}

const recipes: Record<string, (t: Test, app: FastifyInstance, heading: string) => Promise<void>> = {
  async 'Users of one tenant only' (t, app, heading) {
    const userOf = async (tenant: string, { user }: { user: string }): Promise<object> => ({ user, tenant: 'not of this', of: tenant })
    await fragment(heading, { app, jwt, agree, userOf, multitenant: withTenants({ acme: { plugin: who }, globex: {} }), process: { env: { JWT_SECRET: 'secret' } } })
    app.get('/shared', async ({ tenantId }) => tenantId)
    const login = await app.inject({ method: 'POST', url: '/login', payload: { user: 'ann' }, ...as('acme') })
    const authorization = `Bearer ${login.body}`
    for (const url of ['/who', '/shared']) {
      t.equal((await app.inject({ url, headers: { authorization, 'x-tenant-id': 'acme' } })).body, 'acme')
      t.equal((await app.inject({ url, headers: { authorization, 'x-tenant-id': 'globex' } })).statusCode, 403)
      t.equal((await app.inject({ url, headers: { authorization: 'Bearer acme', 'x-tenant-id': 'acme' } })).statusCode, 401)
      t.equal((await app.inject({ url, ...as('acme') })).statusCode, 400)
      t.equal((await app.inject({ url, headers: { authorization } })).body, 'acme')
    }
  },

  async 'The tenant of a session' (t, app, heading) {
    await fragment(heading, { app, cookie, session, multitenant: withTenants({ acme: { plugin: who } }), tenantOf: async ({ user }: { user: string }) => user === 'Wile E.' ? 'acme' : undefined, process: { env: { SESSION_SECRET: 's'.repeat(32) } } })
    const login = await app.inject({ method: 'POST', url: '/login', payload: { user: 'Wile E.' } })
    t.equal(login.body, 'Welcome')
    const { name, value } = login.cookies[0] as { name: string, value: string }
    t.equal((await app.inject({ url: '/who', cookies: { [name]: value } })).body, 'acme')
    t.equal((await app.inject('/who')).statusCode, 404)
  },

  async 'Rate limits' (t, app, heading) {
    await fragment(heading, { app, rateLimit, multitenant: withTenants({ acme: { plugin: who } }) })
    const left = async (app: FastifyInstance, id: string): Promise<unknown> => {
      const { statusCode, headers } = await app.inject({ url: '/who', ...as(id) })
      return [statusCode, headers['x-ratelimit-remaining']]
    }
    t.strictSame(await left(app, 'acme'), [200, '99'])
    t.strictSame(await left(app, 'hooli'), [404, '99'])
    t.strictSame(await left(app, 'initech'), [404, '98'], 'refused requests count, by address')
    t.strictSame(await left(app, 'acme'), [200, '98'], 'and tenants have counts of their own')

    const global = emptyApp(t)
    await global.register(rateLimit, { max: 100 })
    global.register(multitenant, { tenants: { acme: { plugin: who } } })
    t.strictSame(await left(global, 'hooli'), [404, undefined])
    t.strictSame(await left(global, 'acme'), [200, '99'], 'with global: true what is refused is free')
  },

  async 'A cache' (t, _app, heading) {
    /** The prices that acme and globex get, in turn. */
    const told = async (t: Test, code: string): Promise<string[]> => {
      const app = emptyApp(t)
      app.register(multitenant, { tenants: { acme: {}, globex: {} } })
      const run = new AsyncFunction('app', 'cache', 'pricesOf', code)
      await run(app, new Map(), async (tenant: string) => `prices of ${tenant}`)
      const tell = async (id: string): Promise<string> => (await app.inject({ url: '/prices', ...as(id) })).body
      return [await tell('acme'), await tell('globex'), await tell('acme')]
    }
    const code = codeOf(heading, 'js')
    t.strictSame(await told(t, code), ['prices of acme', 'prices of globex', 'prices of acme'])
    t.strictSame(await told(t, code.replace(/key = .*/, 'key = originalUrl')), ['prices of acme', 'prices of acme', 'prices of acme'], 'negative control: a key without the tenant')
  },

  async 'A strategy of your own' (t, app, heading) {
    const findTenantByKey = async (key: string): Promise<string> => {
      if (key === '42') return 'acme'
      throw Object.assign(new Error('No such key'), { statusCode: 401 })
    }
    await fragment(heading, { app, TenantIdentificationStrategy, findTenantByKey, multitenant: withTenants({ acme: { plugin: who }, globex: { plugin: who } }) })
    t.equal((await app.inject({ url: '/who', headers: { 'x-api-key': '42' } })).body, 'acme')
    t.equal((await app.inject({ url: '/who', headers: { host: 'globex.example.com' } })).body, 'globex')
    t.equal((await app.inject({ url: '/who', headers: { host: 'globex.example.com', 'x-api-key': '43' } })).statusCode, 401)
  },

  async 'Tenants in code, or in a database' (t, app, heading) {
    const root = t.testdir({ standard: { routes: { 'root.mjs': "export default async (app, { config }) => app.get('/plan', async () => config.plan)" } } })
    const database = await openDatabase(t)
    const schema = database.newSchema()
    await fragment(heading, {
      app,
      multitenant,
      postgresTenants: (options: PostgresTenantsOptions) => postgresTenants({ ...options, root, schema }),
      process: { env: { DATABASE_URL: database.connectionString } }
    })
    t.equal((await app.inject({ url: '/hello', ...as('demo') })).body, 'I am demo')
    t.equal((await app.inject({ url: '/plan', ...as('acme') })).statusCode, 404)
    const insert = /`(insert .*?)`/.exec(sectionOf(heading).text)?.[1] ?? ''
    await database.query(insert.replace('multitenant.', `${schema}.`))
    await app.multitenant.init('acme')
    t.equal((await app.inject({ url: '/plan', ...as('acme') })).body, 'pro')
    t.strictSame(await app.multitenant.list(), ['demo', 'acme'])
    await database.stop()
    t.equal((await app.inject({ url: '/plan', ...as('acme') })).body, 'pro')
    t.equal((await app.inject({ url: '/plan', ...as('globex') })).statusCode, 503, 'a failure is not "not found"')
  },

  async 'Plugins from elsewhere' (t, app, heading) {
    const bucket: Record<string, FastifyPluginAsync> = { 'acme/extra.mjs': fp(who) }
    const pluginFromBucket = async (key: string): Promise<unknown> => bucket[key]
    const named = /`(bucket:[^`]+)`/.exec(sectionOf(heading).text)?.[1] ?? ''
    await fragment(heading, { app, PluginLoadingStrategy, pluginFromBucket, multitenant: withTenants({ acme: { config: { plugins: [named] } }, globex: { config: { plugins: ['s4:x'] } } }) })
    t.equal((await app.inject({ url: '/who', ...as('acme') })).body, 'acme')
    const failed = await app.multitenant.init('globex').then(() => null, (error: Error) => error.cause)
    t.match(failed, { code: 'FST_TENANT_SCHEME_UNKNOWN', message: /file, npm, bucket$/ })
  },

  async Administration (t, app, heading) {
    app.register(multitenant, { tenants: { acme: { plugin: who } }, required: true })
    const requireAdmin = async ({ headers }: FastifyRequest): Promise<void> => {
      if (headers.authorization === undefined) throw Object.assign(new Error('Who are you?'), { statusCode: 401 })
    }
    await fragment(heading, { app, requireAdmin })
    const headers = { authorization: 'root' }
    t.equal((await app.inject('/admin/tenants')).statusCode, 401)
    t.match((await app.inject({ url: '/admin/tenants', headers })).json(), { total: 1, active: 0 })
    t.equal((await app.inject({ url: '/who', ...as('acme') })).body, 'acme')
    t.strictSame((await app.inject({ method: 'POST', url: '/admin/tenants/acme/reload', headers })).json(), { generation: 2 })
    t.equal((await app.inject({ method: 'POST', url: '/admin/tenants/hooli/reload', headers })).statusCode, 404)
    t.match((await app.inject({ method: 'POST', url: '/admin/tenants/acme/suspend', headers })).json(), { drained: true })
    t.match((await app.inject({ url: '/who', ...as('acme') })).json(), { code: 'FST_TENANT_SUSPENDED' })
  },

  async Jobs (t, app, heading) {
    const sent: boolean[] = []
    const plugin: FastifyPluginAsync = async scope => { scope.decorate('sent', sent) }
    const dir = t.testdir({ services: { 'ReportService.js': 'export default app => ({ send: async ({ signal }) => { app.sent.push(signal.aborted) } })' } })
    app.register(multitenant, { tenants: { acme: { plugin, dir }, globex: { plugin, dir } }, services: ({ app }) => [app] })
    await app.ready()
    await fragment(heading, { app })
    t.strictSame(sent, [false, false], 'each sent its reports, and was not aborted')
  },

  async 'OpenAPI of your own routes' (t, app, heading) {
    const ran: string[] = []
    app.register(multitenant, { tenants: { acme: { plugin: who } } })
    app.register(async docs => { docs.addHook('onRoute', ({ url }) => { ran.push(url) }) })
    await fragment(heading, { app, swagger })
    t.equal((await app.inject({ url: '/me', ...as('acme') })).body, 'acme')
    t.equal((await app.inject({ url: '/who', ...as('acme') })).body, 'acme')
    t.strictSame(Object.keys((await app.inject('/openapi.json')).json().paths), ['/me'])
    t.strictSame(ran, [], 'the hooks of a child do not reach tenants')
  },

  async "Errors in the tenant's words" (t, app, heading) {
    const fail = async (): Promise<never> => { throw Object.assign(new Error('secret'), { code: 'SOLD_OUT', statusCode: 409 }) }
    await fragment(heading, { app })
    app.register(multitenant, { tenants: { acme: { config: { messages: { SOLD_OUT: 'No anvils left' } }, plugin: async scope => { scope.get('/own', fail) } }, globex: {} } })
    app.get('/shared', fail)
    for (const url of ['/own', '/shared']) {
      const answer = await app.inject({ url, ...as('acme') })
      t.equal(answer.statusCode, 409)
      t.strictSame(answer.json(), { error: 'No anvils left' })
    }
    t.strictSame((await app.inject({ url: '/shared', ...as('globex') })).json(), { error: 'Something went wrong' })
    t.strictSame((await app.inject('/shared')).json(), { error: 'Something went wrong' })
  },

  async 'Testing a tenant' (t, app, heading) {
    app.register(multitenant, { tenants: { acme: { plugin: async scope => { scope.get('/reports', async ({ tenantId }) => `reports of ${tenantId}`) } } } })
    app.get('/me', async ({ tenantId }) => tenantId)
    t.match(await fragment(heading, { app }, '{ shared, own }'), { shared: { body: 'acme' }, own: { body: 'reports of acme' } })
    t.equal((await app.multitenant.get('acme')?.app.inject({ url: '/reports', ...as('globex') }))?.body, 'reports of acme')
  },

  async Tracing (t, app, heading) {
    const lines: unknown[] = []
    const log = { info: (fields: object, event: string) => lines.push([event, fields]) }
    await fragment(heading, {
      app: { log },
      subscribe (name: string, listener: () => void) {
        subscribe(name, listener)
        t.teardown(() => unsubscribe(name, listener))
      }
    })
    let fails = false
    app.register(multitenant, {
      tenants: { acme: { plugin: async () => { if (fails) throw new Error('fails') } }, globex: { plugin: async () => {} } },
      maxActive: 1
    })
    await app.ready()
    await app.multitenant.init('acme')
    await (await app.multitenant.reload('acme')).drain
    fails = true
    await t.rejects(app.multitenant.reload('acme'))
    await app.multitenant.init('globex')
    t.strictSame(lines.filter(line => (line as string[])[0] !== 'drain'), [
      ['load', { id: 'acme', generation: 1 }],
      ['reload', { id: 'acme', generation: 2 }],
      ['fail', { id: 'acme', generation: 3 }],
      ['evict', { id: 'acme', generation: 2 }],
      ['load', { id: 'globex', generation: 1 }]
    ])
    t.ok(lines.some(line => (line as string[])[0] === 'drain'))
    await logLines(t)
  }
}

/** Checks the claims of the recipe for tracing about the lines that Fastify writes. */
async function logLines (t: Test): Promise<void> {
  interface Line { msg: string, reqId?: string, tenantId?: string, req?: { url: string } }
  for (const [order, first] of [['first', 'acme'], ['registered', undefined]] as const) {
    const lines: Line[] = []
    const app = Fastify({ logger: { stream: { write: (line: string) => { lines.push(JSON.parse(line)) } } } })
    t.teardown(() => app.close())
    const plugin: FastifyPluginAsync = async scope => {
      scope.get('/own', async () => 'own')
      scope.get('/quiet', { logLevel: 'error' }, async () => 'quiet')
    }
    app.register(multitenant, { order, identify: 'path', tenants: { acme: { plugin } } })
    await app.inject('/acme/own')
    const [incoming, completed] = lines.filter(({ reqId }) => reqId !== undefined)
    t.match([incoming?.msg, incoming?.tenantId, completed?.tenantId], ['incoming request', first, 'acme'], order)
    t.equal(incoming?.req?.url, order === 'first' ? '/own' : '/acme/own')
    lines.length = 0
    await app.inject('/acme/quiet')
    t.equal(lines.length, order === 'first' ? 0 : 1)
  }
}

t.test('Recipes', async t => {
  const [, ...headings] = sections.filter(({ file }) => file === 'docs/recipes.md').map(({ heading }) => heading)
  t.strictSame(headings, Object.keys(recipes))
  for (const [heading, check] of Object.entries(recipes)) {
    t.test(heading, async t => check(t, emptyApp(t), heading))
  }
})

t.test('every recipe has its code tested', async t => {
  t.strictSame(untested().filter(block => block.startsWith('docs/recipes.md')), [])
})
