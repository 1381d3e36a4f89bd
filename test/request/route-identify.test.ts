import { connect, type AddressInfo } from 'node:net'
import Fastify from 'fastify'
import t from 'tap'
import multitenant, { agree, HeaderStrategy } from '../../index.ts'
import { appWith, ask, pair } from '../fixtures/identification/asking.ts'
import type { IdentifyFunction } from '../../index.ts'

t.test('a route may have its own strategy', async t => {
  const byParameter: IdentifyFunction = ({ params }) => Reflect.get(params as object, 'customer')
  const app = appWith(t, { required: true })
  const handler = async ({ tenantId }: { tenantId: string | null }): Promise<string> => `webhook of ${tenantId}`
  app.get('/hooks/query', { config: { identify: 'query' } }, handler)
  app.get('/hooks/again', { config: { identify: 'query' } }, handler)
  app.get('/hooks/:customer', { config: { identify: byParameter } }, handler)
  app.get('/hooks/any', { config: { identify: ['query', new HeaderStrategy({ header: 'x-customer' })] } }, handler)
  app.get('/hooks/all', { config: { identify: agree(['query', 'header']) } }, handler)
  app.get('/hooks/optional', { config: { identify: 'query', tenant: 'optional' } }, handler)
  app.register(async child => { child.get('/hooks/child', { config: { identify: 'query' } }, handler) })

  const cases: Array<[url: string, headers: Record<string, string>, answer: string]> = [
    ['/hooks/query?tenant=acme', {}, 'webhook of acme'],
    ['/hooks/again?tenant=acme', {}, 'webhook of acme'],
    ['/hooks/query?tenant=acme', { 'x-tenant-id': 'globex' }, 'webhook of acme'],
    ['/hooks/query', { 'x-tenant-id': 'globex' }, 'FST_TENANT_REQUIRED'],
    ['/hooks/query?tenant=..', { 'x-tenant-id': 'globex' }, 'FST_TENANT_INVALID_ID'],
    ['/hooks/acme', {}, 'webhook of acme'],
    ['/hooks/hooli', {}, 'FST_TENANT_NOT_FOUND'],
    ['/hooks/any', { 'x-customer': 'globex' }, 'webhook of globex'],
    ['/hooks/all?tenant=acme', { 'x-tenant-id': 'globex' }, 'FST_TENANT_MISMATCH'],
    ['/hooks/optional', { 'x-tenant-id': 'globex' }, 'webhook of null'],
    ['/hooks/child?tenant=globex', {}, 'webhook of globex'],
    ['/shared?tenant=acme', { 'x-tenant-id': 'globex' }, 'shared by globex'],
    ['/who?tenant=acme', { 'x-tenant-id': 'globex' }, 'globex'],
    ['/who?tenant=acme', {}, 'FST_TENANT_REQUIRED']
  ]
  for (const [url, headers, answer] of cases) t.equal(await ask(app, { url, headers }), answer, `${url} ${JSON.stringify(headers)}`)
  app.multitenant.setIdentificationStrategy('query')
  t.equal(await ask(app, { url: '/who?tenant=acme' }), 'acme')
  t.equal(await ask(app, { url: '/hooks/acme?tenant=globex' }), 'webhook of acme', 'what a route says stays')
})

t.test('an invalid or unusable strategy of a route is refused at boot', async t => {
  for (const identify of ['heeder', 'jwt', 'subdomain', [], {}]) {
    const app = appWith(t, {})
    app.get('/x', { config: { identify: identify as 'header' } }, async () => 'x')
    await t.rejects(async () => app.ready(), { code: 'FST_TENANT_OPTION_INVALID' }, String(identify))
  }
})

t.test('routes elsewhere are not checked', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  app.register(async child => { child.register(multitenant, { tenants: pair }) }, { prefix: '/tenants' })
  app.get('/elsewhere', { config: { identify: 'jwt' } }, async ({ tenantId }) => String(tenantId))
  t.equal(await ask(app, { url: '/elsewhere' }), 'undefined')
  t.equal(await ask(app, { url: '/tenants/who', headers: { 'x-tenant-id': 'acme' } }), 'acme')
})

t.test('a strategy that is replaced before the app is ready is checked then', async t => {
  const app = appWith(t, {})
  app.after(() => app.multitenant.setIdentificationStrategy('jwt'))
  await t.rejects(async () => app.ready(), { code: 'FST_TENANT_OPTION_INVALID', message: /@fastify\/jwt/ })
})

t.test('a strategy that is replaced while a tenant loads still decides the URL', async t => {
  let load = (): void => {}
  const loaded = new Promise<void>(resolve => { load = resolve })
  let asked = (): void => {}
  const loading = new Promise<void>(resolve => { asked = resolve })
  const app = appWith(t, {
    identify: 'path',
    tenants: {
      acme: {
        plugin: async scope => {
          asked()
          await loaded
          await pair.acme.plugin(scope, {} as never)
        }
      }
    }
  })
  await app.ready()
  const answer = ask(app, { url: '/acme/who' })
  await loading
  app.multitenant.setIdentificationStrategy('header')
  load()
  t.equal(await answer, 'acme')
  t.equal(await ask(app, { url: '/acme/who', headers: { 'x-tenant-id': 'acme' } }), '404')
})

t.test('an error of a strategy is logged, even if the app replaces the error', async t => {
  const lines: Array<{ msg: string, level: number, err?: { message: string } }> = []
  const logger = { stream: { write: (line: string) => { lines.push(JSON.parse(line)) } } }
  const broken = Object.assign(new Error('the database is down'), { statusCode: 500 })
  for (const identify of [() => { throw broken }, async () => { throw broken }]) {
    const app = appWith(t, { identify: [identify, 'header'], defaultTenant: 'acme' }, app => { app.setErrorHandler(async () => 'something went wrong') }, { logger })
    lines.length = 0
    t.equal((await app.inject({ url: '/who', headers: { 'x-tenant-id': 'globex' } })).body, 'something went wrong')
    t.match(lines.filter(({ level }) => level === 50), [{ msg: 'identification strategy failed', err: { message: 'the database is down' } }])
  }
})

t.test('a refusal of a strategy is sent unchanged, and the default tenant is not used', async t => {
  for (const [error, answer] of [
    [Object.assign(new Error('Who are you?'), { statusCode: 401, code: 'MINE' }), 'MINE'],
    [Object.assign(new Error('Teapot'), { statusCode: 418 }), '418'],
    [Object.assign(new Error('Redirect'), { statusCode: 302 }), 'FST_TENANT_IDENTIFICATION_FAILED'],
    [Object.assign(new Error('Text'), { statusCode: '404' }), 'FST_TENANT_IDENTIFICATION_FAILED'],
    ['no error', 'FST_TENANT_IDENTIFICATION_FAILED'],
    [undefined, 'FST_TENANT_IDENTIFICATION_FAILED']
  ] as const) {
    const app = appWith(t, { identify: [() => { throw error }, () => 'acme'], defaultTenant: 'acme' })
    t.equal(await ask(app, {}), answer)
  }
})

t.test('the path strategy does not lead to a route with another strategy', async t => {
  for (const order of ['first', 'registered'] as const) {
    const app = appWith(t, { identify: 'path', order })
    const handler = async ({ tenantId }: { tenantId: string | null }): Promise<string> => `answers ${tenantId}`
    app.get('/billing', { config: { identify: 'query', tenant: 'required' } }, handler)
    app.get('/open', handler)
    app.get('/*', { config: { identify: 'path' } }, handler)

    t.equal(await ask(app, { url: '/billing?tenant=globex' }), 'answers globex')
    t.equal(await ask(app, { url: '/billing' }), 'FST_TENANT_REQUIRED')
    t.equal(await ask(app, { url: '/acme/open' }), 'answers acme', 'others are reached')
    t.equal(await ask(app, { url: '/acme/anything' }), 'answers acme', 'and one that asks the same')
  }
  const app = appWith(t, { identify: 'path' })
  app.get('/billing', { config: { identify: 'query', tenant: 'required' } }, async ({ tenantId }) => `billing of ${tenantId}`)
  for (const url of ['/acme/billing', '/acme/billing?tenant=globex']) t.equal(await ask(app, { url }), '404', url)
})

t.test('a thenable answer is never taken for no id', async t => {
  const bare = (id: string): IdentifyFunction => () => ({ then (resolve: (id: string) => void) { resolve(id) } }) as unknown as Promise<string>
  for (const [id, answer] of [['globex', 'globex'], ['..', 'FST_TENANT_INVALID_ID']] as const) {
    t.equal(await ask(appWith(t, { identify: bare(id), defaultTenant: 'acme' }), { url: '/who' }), answer)
  }
})

t.test("a more exact route of the tenant comes before a route with its own strategy, if the plugin's identify names the tenant", async t => {
  const token: IdentifyFunction = ({ headers }) => headers['x-token']?.toString()
  const refusing: IdentifyFunction = async ({ headers }) => {
    if (headers['x-fail'] === 'refuse') throw Object.assign(new Error('Who are you?'), { statusCode: 401 })
    if (headers['x-fail'] === 'fail') throw new Error('the database is down')
    return undefined
  }
  const app = appWith(t, {
    identify: agree([refusing, 'header', { strategy: token, required: true }]),
    defaultTenant: 'globex',
    tenants: { ...pair, broken: { plugin: async () => { throw new Error('broken') } }, acme: { plugin: async scope => { scope.get('/who', async ({ tenantId }) => `route of ${tenantId}`) } } }
  })
  app.get('/:page', { config: { identify: 'query' } }, async ({ tenantId }, reply) => reply.send(`page of ${tenantId}`))
  app.get('/missing/:page', { config: { identify: 'query' } }, async (_request, reply) => reply.callNotFound())
  app.setNotFoundHandler(async ({ tenantId }) => `not found for ${tenantId}`)
  const named = { 'x-tenant-id': 'acme', 'x-token': 'acme' }
  const cases: Array<[url: string, headers: Record<string, string>, answer: string]> = [
    ['/who', named, 'route of acme'],
    ['/who?tenant=globex', named, 'route of acme'],
    ['/who?tenant=acme', {}, 'page of acme'],
    ['/who?tenant=acme', { 'x-tenant-id': 'acme' }, 'page of acme'],
    ['/who?tenant=globex', { ...named, 'x-token': 'globex' }, 'page of globex'],
    ['/who?tenant=acme', { ...named, 'x-fail': 'refuse' }, 'page of acme'],
    ['/who?tenant=acme', { ...named, 'x-fail': 'fail' }, 'FST_TENANT_IDENTIFICATION_FAILED'],
    ['/who?tenant=acme', { 'x-tenant-id': 'nobody', 'x-token': 'nobody' }, 'page of acme'],
    ['/who?tenant=acme', { 'x-tenant-id': 'broken', 'x-token': 'broken' }, 'FST_TENANT_LOAD_FAILED'],
    ['/who', { 'x-tenant-id': 'acme' }, 'page of globex'],
    ['/page', named, 'page of globex'],
    ['/missing/page?tenant=acme', {}, 'not found for acme']
  ]
  for (const [url, headers, answer] of cases) t.equal(await ask(app, { url, headers }), answer, `${url} ${JSON.stringify(headers)}`)
  await app.multitenant.suspend('acme')
  t.equal(await ask(app, { url: '/who?tenant=globex', headers: named }), 'page of globex')
  t.match((await app.multitenant.stats()).tenants.map(({ inFlight }) => inFlight), [0])
})

t.test('a failing constraint of a tenant fails only that request', async t => {
  const strategy = {
    name: 'broken',
    storage: () => {
      const handlers = new Map<unknown, unknown>()
      return { get: (key: unknown) => handlers.get(key) ?? null, set: (key: unknown, store: unknown) => { handlers.set(key, store) } }
    },
    deriveConstraint: () => { throw new Error('broken') }
  }
  const app = appWith(t, {
    tenants: {
      acme: {
        plugin: async scope => {
          scope.addConstraintStrategy(strategy as never)
          scope.get('/who', { constraints: { broken: 'one' } }, async () => 'never')
        }
      }
    }
  })
  app.get('/:page', { config: { identify: 'query' } }, async ({ tenantId }) => `page of ${tenantId}`)
  t.equal(await ask(app, { url: '/who', headers: { 'x-tenant-id': 'acme' } }), '500')
  t.match(await app.multitenant.stats(), { tenants: [{ inFlight: 0 }] })
})

t.test('the URL is restored if a route answers to which the path strategy does not lead', async t => {
  const app = appWith(t, { identify: 'path' })
  app.get('/*', { config: { identify: 'query' } }, async ({ tenantId, url, originalUrl }) => `${tenantId} ${url} ${originalUrl}`)
  app.get('/open', async ({ tenantId, url }) => `open to ${tenantId} ${url}`)
  t.equal(await ask(app, { url: '/acme/who' }), 'acme')
  t.equal(await ask(app, { url: '/acme/open' }), 'open to acme /open')
  t.equal(await ask(app, { url: '/acme/else?tenant=globex' }), 'globex /acme/else?tenant=globex /acme/else?tenant=globex')
})

t.test('a client that leaves while the tenant loads gets no answer', async t => {
  let load = (): void => {}
  const loaded = new Promise<void>(resolve => { load = resolve })
  let asked = (): void => {}
  const loading = new Promise<void>(resolve => { asked = resolve })
  const app = appWith(t, {
    tenants: {
      acme: {
        plugin: async scope => {
          asked()
          await loaded
          scope.get('/who', async () => t.fail('nobody is there'))
        }
      }
    }
  })
  app.get('/:page', { config: { identify: 'query' } }, async () => t.fail('nobody is there'))
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  const closed = new Promise(resolve => app.server.once('request', (_raw, reply) => { reply.once('close', resolve) }))
  const client = connect(port, '127.0.0.1')
  client.write('GET /who HTTP/1.1\r\nHost: x\r\nx-tenant-id: acme\r\n\r\n')
  await loading
  client.destroy()
  await closed
  load()
  await app.multitenant.init('acme')
  t.match(await app.multitenant.unload('acme'), { drained: true }, 'nothing holds the tenant')
})
