import t from 'tap'
import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import { appOf, as } from '../fixtures/http/app.ts'
import { LogLines } from '../fixtures/lifecycle/app.ts'

const OVERRIDES = 'a route of the tenant overrides a route of the app, and runs without some of its hooks or config'
const HIDDEN = 'a route of the app cannot be overridden: it answers instead of the routes of the tenant'

const mine = async (): Promise<string> => 'of the tenant'
const apps = async (): Promise<string> => 'of the app'

/** An app with acme, and the lines of its log. */
function logged (t: { teardown (handler: () => Promise<unknown>): unknown }, acme: FastifyPluginAsync, routes: (app: FastifyInstance) => void): { app: FastifyInstance, log: LogLines } {
  const log = new LogLines()
  const app = appOf(t, { acme }, {}, log.server)
  app.after(() => routes(app))
  return { app, log }
}

t.test("an invalid config of an app's route is refused at boot", async t => {
  const cases: Array<[config: object, message: RegExp]> = [
    [{ tenant: 'require' }, /'config\.tenant of GET \/me' must be 'required', 'optional' or 'ignore' \(did you mean 'required'\?\), not 'require'/],
    [{ tenant: true }, /'config\.tenant of GET \/me' must be 'required', 'optional' or 'ignore', not true/],
    [{ tenant: null }, /not null/],
    [{ override: 'no' }, /'config\.override of GET \/me' must be a boolean, not 'no'/]
  ]
  for (const [config, message] of cases) {
    const app = appOf(t, {})
    app.register(async child => { child.get('/me', { config: config as object }, apps) })
    await t.rejects(async () => app.ready(), { name: 'FastifyError', code: 'FST_TENANT_OPTION_INVALID', message })
  }
})

t.test("an invalid config of a tenant's route fails the load of the tenant", async t => {
  const { app, log } = logged(t, async scope => { scope.post('/me', { config: { tenant: 'requird' as 'required' } }, mine) }, () => {})
  const { statusCode } = await app.inject({ method: 'POST', url: '/me', headers: as('acme') })
  t.equal(statusCode, 503)
  t.match(log.of('tenant failed to load'), [{ tenantId: 'acme', err: { message: /config\.tenant of POST \/me.*did you mean 'required'/ } }])
})

t.test("the log names the hooks and config of the app's routes that a tenant's routes override without them", async t => {
  const guards = (app: FastifyInstance): void => {
    app.register(async child => {
      child.addHook('onRequest', async function requireSession () {})
      child.addHook('preHandler', async () => {})
      child.get('/users/:id', apps)
      child.get('/untouched', apps)
    }, { prefix: '/api' })
    app.get('/admin', { config: { access: 'admins' } as object, preHandler: async function requireAdmin () {} }, apps)
    app.get('/plain', apps)
    app.get('/known', { config: { override: true }, preHandler: async function requireAdmin () {} }, apps)
    app.get('/nobody', { config: { tenant: 'ignore' }, preHandler: async function requireAdmin () {} }, apps)
    app.get('/files/*', { onRequest: [async function requireKey () {}] }, apps)
    app.head('/head', { onRequest: async function requireKey () {} }, apps)
  }
  const { app, log } = logged(t, async scope => {
    for (const url of ['/api/users/me', '/api/users/:user', '/plain', '/known', '/nobody', '/:any', '/files/*', '/head']) scope.get(url, mine)
    scope.post('/api/untouched', mine)
    scope.get('/', { preHandler: async function requireAdmin () {} }, mine)
  }, guards)
  await app.ready()
  await app.multitenant.init('acme')
  t.same(log.of(OVERRIDES).map(({ tenantId, route, overriddenBy, leaves }) => ({ tenantId, route, overriddenBy, leaves })), [
    { tenantId: 'acme', route: 'GET /admin', overriddenBy: ['GET /:any'], leaves: ['preHandler requireAdmin', 'config.access'] },
    { tenantId: 'acme', route: 'GET /files/*', overriddenBy: ['GET /files/*'], leaves: ['onRequest requireKey'] },
    { tenantId: 'acme', route: 'HEAD /head', overriddenBy: ['HEAD /:any', 'HEAD /head'], leaves: ['onRequest requireKey'] },
    { tenantId: 'acme', route: 'GET /api/users/:id', overriddenBy: ['GET /api/users/me', 'GET /api/users/:user'], leaves: ['onRequest requireSession', 'preHandler without a name'] }
  ])
  t.same(log.of(HIDDEN), [])
})

t.test('an override with hooks and config of the same names leaves nothing behind', async t => {
  const guard = { config: { access: 'admins' } as object, preHandler: async function requireAdmin () {} }
  const { app, log } = logged(t, async scope => { scope.get('/admin', guard, mine) }, app => { app.get('/admin', guard, apps) })
  t.equal((await app.inject({ url: '/admin', headers: as('acme') })).body, 'of the tenant')
  t.same(log.of(OVERRIDES), [])
})

t.test('a route with override: false answers, and the load of a tenant with the same route warns', async t => {
  const { app, log } = logged(t, async scope => {
    for (const url of ['/api/users', '/api/reports/special', '/api/reports/*', '/other']) scope.get(url, mine)
  }, app => {
    app.get('/api/users', { config: { override: false } }, apps)
    app.get('/api/reports/:id', { config: { override: false, tenant: 'required' } }, async ({ tenantId }) => `of the app, for ${tenantId}`)
    app.get('/:page', { config: { identify: 'query' } }, apps)
  })
  const answerOf = async (url: string): Promise<string> => (await app.inject({ url, headers: as('acme') })).body
  t.equal(await answerOf('/api/users'), 'of the app')
  t.equal(await answerOf('/api/reports/special'), 'of the app, for acme', 'a more exact route does not come before it either')
  t.equal(await answerOf('/api/reports/a/b'), 'of the tenant', 'and what the app does not find it for is left alone')
  t.equal(await answerOf('/other'), 'of the tenant')
  t.same(log.of(HIDDEN).map(({ tenantId, route, hides }) => ({ tenantId, route, hides })), [
    { tenantId: 'acme', route: 'GET /api/users', hides: ['GET /api/users'] },
    { tenantId: 'acme', route: 'GET /api/reports/:id', hides: ['GET /api/reports/special', 'GET /api/reports/*'] }
  ])
})

t.test('a route that is added after a tenant was loaded keeps its override: false', async t => {
  const app = appOf(t, { acme: async scope => { scope.get('/:page', mine) } })
  await app.after()
  await app.multitenant.preload('acme')
  app.get('/health', { config: { tenant: 'ignore' } }, apps)
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as { port: number }
  const answerOf = async (path: string): Promise<string> => (await fetch(`http://127.0.0.1:${port}${path}`, { headers: as('acme') })).text()
  t.equal(await answerOf('/health'), 'of the app')
  t.equal(await answerOf('/else'), 'of the tenant')
})
