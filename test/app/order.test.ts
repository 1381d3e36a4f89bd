import t from 'tap'
import { registered } from '../fixtures/http/registered.ts'
import type { FastifyPluginAsync } from 'fastify'
import { as, listen } from '../fixtures/http/app.ts'
import { exchange } from '../fixtures/http/exchange.ts'
import { ANSWERED, once, recordHooks } from '../fixtures/http/hooks.ts'

declare module 'fastify' {
  interface Session {
    tenant?: string
    visits?: number
  }
}

const TEMPERATURES = ['cold', 'warm'] as const

t.test("order: 'registered'", async t => {
  const own: FastifyPluginAsync = async scope => {
    scope.get('/own', async () => ({}))
    scope.post('/echo', async request => request.body)
  }

  for (const temperature of TEMPERATURES) {
    t.test(`earlier hooks run on the app's request, all others in the tenant's route, each once, ${temperature}`, async t => {
      const early: string[] = []
      const app = await registered(t, { acme: own }, app => {
        app.addHook('onRequest', async request => { early.push(`${request.routeOptions.url ?? '404'} ${request.tenantId}`) })
      })
      const ran = recordHooks(app)
      app.get('/shared', async () => ({}))
      await listen(app)
      if (temperature === 'warm') await app.multitenant.init('acme')

      await exchange(app, { url: '/own', tenant: 'acme' })
      t.strictSame(early, ['404 null'], 'before the tenant is known')
      t.strictSame(ran, once(ANSWERED, '/own'))
      await exchange(app, { url: '/shared', tenant: 'acme' })
      t.strictSame(early, ['404 null', '/shared null'])
      t.strictSame(ran, [...once(ANSWERED, '/own'), ...once(ANSWERED, '/shared')])
      await exchange(app, { url: '/nowhere', tenant: 'acme' })
      t.strictSame(early, ['404 null', '/shared null', '404 null'])
      t.strictSame(ran.slice(-ANSWERED.length), once(ANSWERED, '404'))
    })

    t.test(`the tenant comes from an earlier hook, ${temperature}`, async t => {
      const app = await registered(t, { acme: own }, app => {
        app.decorateRequest('visitor', null)
        app.addHook('onRequest', async request => { request.setDecorator('visitor', { of: request.headers.authorization }) })
      }, { identify: request => request.getDecorator<{ of?: string }>('visitor').of })
      app.get('/shared', async request => request.tenantId)
      await app.ready()
      if (temperature === 'warm') await app.multitenant.init('acme')
      t.equal((await app.inject({ url: '/own', headers: { authorization: 'acme' } })).statusCode, 200)
      t.equal((await app.inject({ url: '/shared', headers: { authorization: 'acme' } })).body, 'acme')
      t.equal((await app.inject('/own')).statusCode, 404)
    })
  }

  t.test("with order: 'first' the earlier hook has not run yet", async t => {
    const seen: unknown[] = []
    const app = await registered(t, { acme: own }, app => {
      app.decorateRequest('visitor', null)
      app.addHook('onRequest', async request => { request.setDecorator('visitor', { of: 'acme' }) })
    }, {
      order: 'first',
      identify: request => {
        seen.push(request.getDecorator('visitor'))
        return 'acme'
      }
    })
    await app.inject('/own')
    t.strictSame(seen, [null])
  })

  t.test("a body is parsed in the tenant's route", async t => {
    const app = await registered(t, { acme: own }, app => { app.addHook('onRequest', async () => {}) })
    const answer = await app.inject({ method: 'POST', url: '/echo', headers: as('acme'), payload: { a: 1 } })
    t.strictSame(answer.json(), { a: 1 })
  })

  t.test('a later hook sees the tenant, and the route of the tenant', async t => {
    const app = await registered(t, {
      acme: async scope => { scope.get('/own', { config: { access: 'open' } }, async () => 'in') }
    }, () => {})
    app.addHook('onRequest', async (request, reply) => {
      if (request.routeOptions.config.access !== 'open') return reply.code(401).send(`${request.tenantId} ${request.routeOptions.url}`)
    })
    app.get('/shared', async () => 'in')
    t.equal((await app.inject({ url: '/own', headers: as('acme') })).body, 'in')
    t.equal((await app.inject({ url: '/shared', headers: as('acme') })).body, 'acme /shared')
  })

  t.test('a refusal is thrown at once, and later hooks do not run', async t => {
    const ran: string[] = []
    const app = await registered(t, { broken: async () => { throw new Error('broken on purpose') } }, app => {
      app.addHook('onRequest', async (_request, reply) => {
        ran.push('early')
        reply.header('access-control-allow-origin', '*')
      })
    }, { required: true })
    app.addHook('onRequest', async () => { ran.push('late') })
    for (const [headers, status] of [[as('initech'), 404], [as('../etc'), 400], [as('broken'), 503], [{}, 400]] as const) {
      ran.length = 0
      const answer = await app.inject({ url: '/own', headers })
      t.equal(answer.statusCode, status)
      t.equal(answer.headers['access-control-allow-origin'], '*')
      t.strictSame(ran, ['early'])
    }
  })

  t.test('a request that an earlier hook answers does not reach the tenant', async t => {
    const app = await registered(t, { acme: own }, app => {
      app.addHook('onRequest', async (_request, reply) => reply.code(429).send('slow down'))
    })
    t.equal((await app.inject({ url: '/own', headers: as('acme') })).statusCode, 429)
    t.equal((await app.multitenant.stats()).loads, 0)
  })

  t.test('each hook runs once if the path strategy passes a request to a route of the app', async t => {
    const early: string[] = []
    const app = await registered(t, { acme: own }, app => {
      app.addHook('onRequest', async request => { early.push(request.originalUrl) })
    }, { identify: 'path' })
    app.get('/shared', async request => ({ tenant: request.tenantId }))
    t.equal((await app.inject('/acme/own')).statusCode, 200)
    t.strictSame(early, ['/acme/own'])
    t.strictSame((await app.inject('/acme/shared')).json(), { tenant: 'acme' })
    t.strictSame(early, ['/acme/own', '/acme/shared'])
  })

  t.test('a request injected into the tenant runs all hooks there', async t => {
    const ran: string[] = []
    const app = await registered(t, { acme: own }, app => {
      app.addHook('onRequest', async request => { ran.push(`early ${request.tenantId}`) })
    })
    app.addHook('onRequest', async request => { ran.push(`late ${request.tenantId}`) })
    const tenant = await app.multitenant.init('acme')
    await tenant.app.inject('/own')
    t.strictSame(ran, ['early acme', 'late acme'])
  })
})
