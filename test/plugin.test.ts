import { cp, mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import cors from '@fastify/cors'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import multitenant, { HeaderStrategy, TenantIdentificationStrategy } from '../index.ts'
import { TenantManager } from '../lib/manager.ts'
import { Tenant } from '../lib/tenants/tenant.ts'
import { ROOT } from './fixtures/readme/markdown.ts'
import type { FastifyInstance } from 'fastify'
import type { MultitenantOptions } from '../index.ts'

type Line = Record<string, unknown> & { msg: string, tenantId?: string, err?: Record<string, unknown> }

interface Logged { app: FastifyInstance, lines: Line[] }

/** An app that records its log, closed with the test. */
function logged (t: Test, options: MultitenantOptions): Logged {
  const lines: Line[] = []
  const app: FastifyInstance = Fastify({ logger: { level: 'info', stream: { write: (line: string) => lines.push(JSON.parse(line)) } } })
  t.teardown(() => app.close())
  app.register(multitenant, options)
  return { app, lines }
}

function appOf (t: Test, options: MultitenantOptions): FastifyInstance {
  return logged(t, options).app
}

function as (id: string): { headers: { 'x-tenant-id': string } } {
  return { headers: { 'x-tenant-id': id } }
}

/** Two tenants that each know their own id. */
const pair: MultitenantOptions['tenants'] = {
  acme: { plugin: async scope => { scope.get('/who', async ({ tenantId }) => tenantId) } },
  globex: { plugin: async scope => { scope.get('/who', async ({ tenantId }) => tenantId) } }
}

t.test('the plugin decorates the app and its requests', async t => {
  const app = appOf(t, { tenants: pair })
  app.get('/', async ({ tenant, tenantId }) => ({ tenant, tenantId }))
  await app.ready()

  t.ok(app.multitenant instanceof TenantManager)
  t.ok(app.hasRequestDecorator('tenant'))
  t.ok(app.hasRequestDecorator('tenantId'))
  t.ok(app.hasPlugin('fastify-multitenant'))
  t.strictSame((await app.inject('/')).json(), { tenant: null, tenantId: null })
  t.match((await app.inject({ url: '/', ...as('acme') })).json(), { tenant: { id: 'acme', state: 'active', generation: 1 }, tenantId: 'acme' })
  t.ok(app.multitenant.get('acme') instanceof Tenant)
})

t.test('a Fastify without one of the internals is refused at boot', async t => {
  const source = await readFile(join(ROOT, 'lib/fastify/internals.ts'), 'utf8')
  const names = [...source.matchAll(/'(fastify\.\w+|registered-plugin)'/g)].map(([, name]) => name as string)
  t.ok(names.length > 10)
  for (const name of names) {
    t.test(name, async t => {
      // As if this version of Fastify named the symbol differently.
      const { getOwnPropertySymbols } = Object
      t.intercept(Object, 'getOwnPropertySymbols', {
        value: (object: object) => getOwnPropertySymbols(object).filter(({ description }) => description !== name)
      })
      const app = Fastify()
      app.register(multitenant, { tenants: {} })
      const message = `Symbol(${name}) not found in Fastify ${app.version}, which this version of fastify-multitenant does not support`
      await t.rejects(async () => await app.ready(), { code: 'FST_TENANT_FASTIFY_UNSUPPORTED', message })
    })
  }
})

t.test("a different copy of Fastify than the plugin's is refused at boot", async t => {
  const copy = t.testdir()
  for (const part of ['fastify.js', 'package.json', 'lib']) await cp(join(ROOT, 'node_modules/fastify', part), join(copy, part), { recursive: true })
  const { default: OtherFastify }: { default: typeof Fastify } = await import(pathToFileURL(join(copy, 'fastify.js')).href)
  const app = OtherFastify()
  app.register(multitenant, { tenants: {} })
  await t.rejects(async () => await app.ready(), {
    code: 'FST_TENANT_FASTIFY_UNSUPPORTED',
    message: `The app and the plugin use different copies of Fastify: the app's hooks were not found in Fastify ${app.version}`
  })
})

t.test('a missing folder of tenants is refused at boot, by name', async t => {
  const tenants = join(t.testdir(), 'tenants')
  const app = appOf(t, { tenants })
  await t.rejects(async () => await app.ready(), { code: 'FST_TENANT_OPTION_INVALID', message: `The option 'tenants' must be a folder that exists: ${tenants}` })
})

t.test('a request without a tenant', async t => {
  t.test("is the app's own, unless a tenant is required", async t => {
    const app = appOf(t, { tenants: pair })
    app.get('/', async () => 'the app')
    t.equal((await app.inject('/')).body, 'the app')
  })

  t.test('is refused if a tenant is required, at unknown URLs too', async t => {
    const app = appOf(t, { tenants: pair, required: true })
    app.get('/', async () => 'the app')
    app.get('/free', { config: { tenant: 'optional' } }, async () => 'free')
    for (const url of ['/', '/nowhere']) {
      const { statusCode, body } = await app.inject(url)
      t.equal(statusCode, 400)
      t.strictSame(JSON.parse(body), { statusCode: 400, code: 'FST_TENANT_REQUIRED', error: 'Bad Request', message: 'This request needs a tenant' })
    }
    t.equal((await app.inject('/free')).body, 'free')
  })

  t.test('gets the default tenant, and an invalid id does not', async t => {
    const app = appOf(t, { tenants: pair, defaultTenant: 'acme', required: true })
    t.equal((await app.inject('/who')).body, 'acme')
    t.equal((await app.inject({ url: '/who', ...as('globex') })).body, 'globex')
    for (const [id, status] of [['hooli', 404], ['../acme', 400], ['', 400]] as const) {
      const { statusCode, body } = await app.inject({ url: '/who', ...as(id) })
      t.equal(statusCode, status)
      t.notMatch(body, /acme/)
    }
  })

  t.test('is not refused if it is a CORS preflight, before or after @fastify/cors', async t => {
    const preflight = { method: 'OPTIONS', url: '/who', headers: { origin: 'https://a.example', 'access-control-request-method': 'GET' } } as const
    const before = Fastify()
    t.teardown(() => before.close())
    before.register(cors, { origin: true })
    before.register(multitenant, { tenants: pair, required: true })
    const after = appOf(t, { tenants: pair, required: true })
    after.register(cors, { origin: true })

    for (const app of [before, after]) {
      t.match(await app.inject(preflight), { statusCode: 204, headers: { 'access-control-allow-origin': 'https://a.example' } })
      t.equal((await app.inject({ ...preflight, headers: {} })).statusCode, 400, 'an OPTIONS request that is none is refused')
    }
  })
})

t.test('a strategy that fails', async t => {
  class Teapot extends Error { statusCode = 418 }

  t.test('refuses the request, and the default tenant is not used', async t => {
    const failures: Array<[unknown, number, string | undefined]> = [
      [new Error('the secret is xyzzy'), 503, 'FST_TENANT_IDENTIFICATION_FAILED'],
      [Object.assign(new Error('upstream xyzzy'), { statusCode: 502 }), 503, 'FST_TENANT_IDENTIFICATION_FAILED'],
      [Object.assign(new Error('no status xyzzy'), { statusCode: '418' }), 503, 'FST_TENANT_IDENTIFICATION_FAILED'],
      [new Teapot('I am a teapot'), 418, undefined]
    ]
    for (const [failure, status, code] of failures) {
      for (const identify of [() => { throw failure }, async () => { throw failure }]) {
        const { app, lines } = logged(t, { tenants: pair, identify, defaultTenant: 'acme' })
        app.get('/shared', async ({ tenantId }) => `shared ${tenantId}`)
        for (const url of ['/who', '/shared', '/nowhere']) {
          const { statusCode, body } = await app.inject(url)
          t.equal(statusCode, status)
          t.equal(JSON.parse(body).code, code)
          t.notMatch(body, /xyzzy|acme/)
        }
        t.equal(app.multitenant.get('acme'), null, 'the default tenant was not even loaded')
        t.match(lines.find(({ err }) => err !== undefined)?.err?.['stack'], (failure as Error).message, 'the log says why')
      }
    }
  })

  t.test('is a 503 whatever it throws', async t => {
    for (const thrown of [undefined, null, 'text', 0]) {
      const app = appOf(t, { tenants: pair, identify: () => { throw thrown }, defaultTenant: 'acme' })
      const { statusCode, body } = await app.inject('/who')
      t.ok(statusCode >= 500, String(thrown))
      t.notMatch(body, /acme/)
    }
  })

  t.test('is refused if it returns an invalid id', async t => {
    for (const answer of ['', '..', 7, {}, ['acme'], true]) {
      const app = appOf(t, { tenants: pair, identify: () => answer as string, defaultTenant: 'acme' })
      t.match((await app.inject('/who')).json(), { statusCode: 400, code: 'FST_TENANT_INVALID_ID' }, JSON.stringify(answer))
    }
  })
})

t.test('setIdentificationStrategy', async t => {
  class Custom extends TenantIdentificationStrategy {
    override extractTenantId (): string {
      return 'globex'
    }
  }

  t.test('replaces the strategy at run time', async t => {
    const app = appOf(t, { tenants: pair })
    t.equal((await app.inject({ url: '/who', ...as('acme') })).body, 'acme')
    app.multitenant.setIdentificationStrategy(new Custom())
    t.equal((await app.inject({ url: '/who', ...as('acme') })).body, 'globex')
    app.multitenant.setIdentificationStrategy([new HeaderStrategy({ header: 'x-customer' }), 'query'])
    t.equal((await app.inject({ url: '/who', headers: { 'x-customer': 'acme' } })).body, 'acme')
    t.equal((await app.inject({ url: '/who?tenant=globex' })).body, 'globex')
    t.equal((await app.inject({ url: '/who', ...as('acme') })).statusCode, 404)
  })

  t.test('refuses an invalid strategy, and keeps the current one', async t => {
    const app = appOf(t, { tenants: pair })
    await app.ready()
    for (const wrong of ['cookies', 'cookie', 'jwt', {}, Custom, null]) {
      t.throws(() => app.multitenant.setIdentificationStrategy(wrong as never), { code: 'FST_TENANT_OPTION_INVALID' })
    }
    t.equal((await app.inject({ url: '/who', ...as('acme') })).body, 'acme')
  })
})

t.test('a client sees only the code and the message of an error', async t => {
  const folder = t.testdir({ acme: { 'index.mjs': "throw new Error('globex at ' + import.meta.url)" }, globex: {} })
  const app = appOf(t, {
    tenants: [folder, { suspended: {}, busy: {}, slow: { plugin: () => new Promise(() => {}) } }, { get: id => { throw new Error(`globex at ${folder}: ${id}`) }, async * list () { yield * [] } }],
    identify: ['header', () => { throw new Error('globex') }],
    loadTimeout: 1_000
  })
  await app.ready()
  await app.multitenant.suspend('suspended')

  const told: Array<[string | undefined, number, string, string | undefined]> = [
    [undefined, 503, 'FST_TENANT_IDENTIFICATION_FAILED', '1'],
    ['..', 400, 'FST_TENANT_INVALID_ID', undefined],
    ['suspended', 403, 'FST_TENANT_SUSPENDED', undefined],
    ['acme', 503, 'FST_TENANT_LOAD_FAILED', '1'],
    ['slow', 503, 'FST_TENANT_LOAD_TIMEOUT', '1'],
    ['unheard-of', 503, 'FST_TENANT_LOAD_FAILED', '1']
  ]
  for (const [id, status, code, retryAfter] of told) {
    const { statusCode, headers, body } = await app.inject({ url: '/', headers: id === undefined ? {} : { 'x-tenant-id': id } })
    t.equal(statusCode, status)
    t.equal(headers['retry-after'], retryAfter)
    t.match(JSON.parse(body), { code, statusCode: status })
    t.strictSame(Object.keys(JSON.parse(body)).sort(), ['code', 'error', 'message', 'statusCode'])
    t.notMatch(body, /globex|file:|\.mjs|\\n| at /)
    t.notOk(body.includes(folder))
  }
})

/** A tenant's folder that cannot be loaded: the invalid file, the fixed file, and the expected log. */
interface Broken { what: string, file: string, wrong: string, mended: string, says: RegExp }

const broken: Broken[] = [
  { what: 'a syntax error in a route', file: 'routes/index.js', wrong: 'export default async (app => {', mended: 'export default async () => {}', says: /routes\/index\.js: / },
  { what: 'a syntax error in a config', file: 'config.js', wrong: 'export default {', mended: 'export default {}', says: /config\.js: / },
  { what: 'a syntax error in JSON', file: 'config.json', wrong: '{ "plan": ', mended: '{}', says: /config\.json: / },
  { what: 'a config that throws', file: 'config.js', wrong: "export default () => { throw new Error('no vault') }", mended: 'export default () => ({})', says: /config\.js: no vault/ },
  { what: 'a config against the schema', file: 'config.js', wrong: 'export default { seats: "many" }', mended: 'export default { seats: 3 }', says: /config\/seats must be integer/ },
  { what: 'an index that throws', file: 'index.mjs', wrong: "throw new Error('no index')", mended: '', says: /index\.mjs: no index/ },
  { what: 'a plugin that throws', file: 'plugins/db.js', wrong: "export default async () => { throw new Error('no database') }", mended: 'export default async () => {}', says: /plugins\/db\.js: no database/ },
  { what: 'a plugin that throws before it returns', file: 'plugins/db.js', wrong: "export default (app, options, done) => { throw new Error('no database') }", mended: 'export default (app, options, done) => done()', says: /plugins\/db\.js: no database/ },
  { what: 'a plugin whose import is missing', file: 'plugins/db.js', wrong: "import './nowhere.js'\nexport default async () => {}", mended: 'export default async () => {}', says: /plugins\/db\.js: Cannot find module/ },
  { what: 'a schema without a type', file: 'schemas/user.json', wrong: '{ "title": "User" }', mended: '{ "type": "object" }', says: /schemas\/user\.json: 'user' is not a JSON schema/ },
  { what: 'a service whose constructor throws', file: 'services/Mail.js', wrong: "export default class { constructor () { throw new Error('no post office') } }", mended: 'export default class {}', says: /services\/Mail\.js: no post office/ },
  { what: 'a route with a schema that is none', file: 'routes/index.js', wrong: "export default async app => { app.post('/x', { schema: { body: { $ref: 'nobody#' } } }, async () => 1) }", mended: 'export default async () => {}', says: /nobody/ },
  { what: 'a hook that throws', file: 'plugins/ready.js', wrong: "export default async app => { app.addHook('onReady', async () => { throw new Error('not ready') }) }", mended: 'export default async () => {}', says: /not ready/ }
]

t.test('a tenant that cannot be loaded', async t => {
  const configSchema = { type: 'object', properties: { seats: { type: 'integer' } } }

  for (const { what, file, wrong, mended, says } of broken) {
    t.test(what, async t => {
      const tenants = t.testdir({ broken: {}, globex: { routes: { 'index.js': "export default async app => { app.get('/who', async ({ tenantId }) => tenantId) }" } } })
      const path = join(tenants, 'broken', file)
      await mkdir(dirname(path), { recursive: true })
      await writeFile(path, wrong)
      const { app, lines } = logged(t, { tenants, configSchema })
      app.get('/shared', async ({ tenantId }) => `shared ${tenantId}`)

      const refused = await app.inject({ url: '/shared', ...as('broken') })
      t.strictSame(refused.json(), { statusCode: 503, code: 'FST_TENANT_LOAD_FAILED', error: 'Service Unavailable', message: "Tenant 'broken' could not be loaded" })
      t.equal(refused.headers['retry-after'], '1')
      const cause = lines.find(({ msg }) => msg === 'tenant failed to load')
      t.match(cause, { level: 50, tenantId: 'broken' })
      t.match(`${cause?.err?.['message']} ${cause?.err?.['stack']}`, says, 'the log has the cause and the file')

      t.equal((await app.inject({ url: '/who', ...as('globex') })).body, 'globex', 'the other tenant is unharmed')
      t.equal((await app.inject('/shared')).body, 'shared null', 'and so is the app')
      t.match(await app.multitenant.stats(), { failed: 1, active: 1 })

      await writeFile(path, mended)
      await app.multitenant.init('broken')
      t.equal((await app.inject({ url: '/shared', ...as('broken') })).body, 'shared broken', 'mended, it loads')
      t.match(await app.multitenant.stats(), { failed: 0, active: 2 })
    })
  }

  t.test('is answered differently from an unknown tenant, and from the app', async t => {
    const app = appOf(t, { tenants: t.testdir({ broken: { 'index.mjs': 'throw 1' }, '.hidden': {}, 'a file': '', README: '' }) })
    t.equal((await app.inject({ url: '/', ...as('broken') })).statusCode, 503)
    for (const id of ['README', 'hidden', 'nobody']) t.equal((await app.inject({ url: '/', ...as(id) })).statusCode, 404)
    t.strictSame(await app.multitenant.list(), ['broken'])
  })
})

t.test('the Fastify version that the plugin requires is that of package.json', async t => {
  const { peerDependencies } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8'))
  const { fastify } = Reflect.get(multitenant, Symbol.for('plugin-meta')) as { fastify: string }
  t.equal(fastify, peerDependencies.fastify)
})
