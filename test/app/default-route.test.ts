import type { IncomingMessage, ServerResponse } from 'node:http'
import Fastify from 'fastify'
import t from 'tap'
import type { FastifyInstance, FastifyPluginAsync, InjectOptions } from 'fastify'
import multitenant from '../../index.ts'
import type { MultitenantOptions } from '../../index.ts'
import { as, emptyApp, tenants } from '../fixtures/http/app.ts'

const acme: FastifyPluginAsync = async scope => {
  scope.get('/own', async ({ tenantId }) => `of ${tenantId}`)
  scope.get('/users/:id', async () => 'a user')
}

const withHandler: FastifyPluginAsync = async scope => { scope.setNotFoundHandler(async () => 'not found, says globex') }

const routerOptions = {
  defaultRoute: (raw: IncomingMessage, rawReply: ServerResponse) => { rawReply.end(`${raw.method} by default`) },
  onMaxParamLength: (path: string, _raw: IncomingMessage, rawReply: ServerResponse) => { rawReply.end(`too long: ${path.length}`) }
}

function appBy (t: { teardown (handler: () => Promise<unknown>): unknown }, options: MultitenantOptions = {}): FastifyInstance {
  const app = emptyApp(t, { routerOptions: routerOptions as never })
  app.register(multitenant, { tenants: tenants({ acme, globex: withHandler }), ...options })
  return app
}

async function ask (app: FastifyInstance, request: InjectOptions): Promise<string> {
  const { body } = await app.inject(request)
  return body.startsWith('{') ? JSON.parse(body).code : body
}

t.test('a default route of the app does not hide the tenants', async t => {
  for (const order of ['first', 'registered'] as const) {
    const app = appBy(t, { order })
    app.get('/shared', async ({ tenantId }) => `shared by ${tenantId}`)
    app.addHook('onRequest', async request => { if (request.url === '/unknown') throw new Error('no hook comes before the default route') })
    t.equal(await ask(app, { url: '/own', headers: as('acme') }), 'of acme', 'a tenant that is not loaded')
    t.equal(await ask(app, { url: '/shared', headers: as('acme') }), 'shared by acme')
    t.equal(await ask(app, { url: '/unknown', headers: as('acme') }), 'GET by default')
    t.equal(await ask(app, { url: '/unknown' }), 'GET by default')
    t.equal(await ask(app, { method: 'POST', url: '/own', headers: as('acme'), payload: 'text' }), 'POST by default')
    t.equal(await ask(app, { url: '/missing', headers: as('globex') }), 'not found, says globex')
    t.equal(await ask(app, { url: '/unknown', headers: as('nobody') }), 'FST_TENANT_NOT_FOUND')
    t.match(await app.multitenant.stats(), { tenants: [{ inFlight: 0 }, { inFlight: 0 }] })
  }
})

t.test('a default route runs after the path strategy, and after the check that a tenant is required', async t => {
  const app = appBy(t, { identify: 'path', required: true })
  t.equal(await ask(app, { url: '/acme/own' }), 'of acme')
  t.equal(await ask(app, { url: '/acme/unknown' }), 'GET by default')
  t.equal(await ask(app, { url: '/' }), 'FST_TENANT_REQUIRED')
  t.equal(await ask(app, { method: 'OPTIONS', url: '/', headers: { origin: 'https://evil.example', 'access-control-request-method': 'GET' } }), 'FST_TENANT_REQUIRED', 'a forged preflight included')
})

t.test('a default route answers outside the child in which the plugin is registered', async t => {
  const app = emptyApp(t, { routerOptions: routerOptions as never })
  app.register(async part => { part.register(multitenant, { tenants: tenants({ acme }), required: true }) }, { prefix: '/part' })
  t.equal(await ask(app, { url: '/part/own', headers: as('acme') }), 'of acme')
  t.equal(await ask(app, { url: '/part/unknown', headers: as('acme') }), 'GET by default')
  t.equal(await ask(app, { url: '/part' }), 'FST_TENANT_REQUIRED')
  for (const url of ['/own', '/parts', '/']) t.equal(await ask(app, { url, headers: as('acme') }), 'GET by default', url)
  t.equal(await ask(app, { method: 'OPTIONS', url: '*' }), 'OPTIONS by default')
})

t.test('a parameter of a tenant that is too long is refused as in a child', async t => {
  const url = `/users/${'x'.repeat(200)}`
  const child = Fastify({ routerOptions: routerOptions as never })
  t.teardown(() => child.close())
  child.register(acme)
  const answer = await ask(child, { url })
  t.equal(answer, 'too long: 207')
  const app = appBy(t)
  t.equal(await ask(app, { url, headers: as('acme') }), answer)
  const withWildcard = appBy(t)
  withWildcard.get('/*', async () => 'wildcard')
  t.equal(await ask(withWildcard, { url, headers: as('acme') }), 'wildcard', 'a route of the app that takes it comes first')
})
