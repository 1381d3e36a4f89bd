import t from 'tap'
import type { FastifyInstance, FastifyPluginAsync, HTTPMethods } from 'fastify'
import multitenant from '../../index.ts'
import { appOf, as, emptyApp, tenants } from '../fixtures/http/app.ts'

/** What the tenant and the app have: routes as `GET /url`, and `404` for a 404 handler. */
interface Has {
  tenant?: string[]
  app?: string[]
}

interface Case extends Has {
  what: string
  ask: string
  /** Who answers, and in which route. */
  answer: string
}

function answering (who: string, has: readonly string[] = []): FastifyPluginAsync {
  return async scope => {
    for (const route of has) {
      if (route === '404') {
        scope.setNotFoundHandler(async (_request, reply) => {
          reply.code(404)
          return `${who} 404`
        })
        continue
      }
      const [method, url] = route.split(' ') as [HTTPMethods, string]
      scope.route({
        method,
        url,
        handler: async (request, reply) => {
          reply.header('x-answered', `${who} ${request.routeOptions.url}`)
          return `${who} ${request.routeOptions.url}`
        }
      })
    }
  }
}

const cases: Case[] = [
  // Each of these wins over all that follow it.
  { what: "the tenant's own route before all others", tenant: ['GET /a', 'GET /*', '404'], app: ['GET /a', 'GET /*', '404'], ask: 'GET /a', answer: 'tenant /a' },
  { what: "the app's own route before the tenant's wildcard", tenant: ['GET /*', '404'], app: ['GET /a', 'GET /*', '404'], ask: 'GET /a', answer: 'app /a' },
  { what: "the tenant's wildcard before the app's", tenant: ['GET /*', '404'], app: ['GET /*', '404'], ask: 'GET /a', answer: 'tenant /*' },
  { what: "the app's wildcard before the tenant's 404 handler", tenant: ['404'], app: ['GET /*', '404'], ask: 'GET /a', answer: 'app /*' },
  { what: "the tenant's 404 handler before the app's", tenant: ['404'], app: ['404'], ask: 'GET /a', answer: 'tenant 404' },
  { what: "the app's 404 handler at last", tenant: [], app: ['404'], ask: 'GET /a', answer: 'app 404' },

  // Each alone.
  { what: "the tenant's own route where the app has none", tenant: ['GET /a'], ask: 'GET /a', answer: 'tenant /a' },
  { what: "the app's own route where the tenant has none", app: ['GET /a'], ask: 'GET /a', answer: 'app /a' },
  { what: "the tenant's wildcard alone", tenant: ['GET /*'], ask: 'GET /a/b', answer: 'tenant /*' },
  { what: "the app's wildcard alone", app: ['GET /*'], ask: 'GET /a/b', answer: 'app /*' },
  { what: "the tenant's 404 handler alone", tenant: ['404'], ask: 'GET /a', answer: 'tenant 404' },

  // A parameter matches as a fixed word does.
  { what: "the tenant's parametric route before the app's static one", tenant: ['GET /:id'], app: ['GET /a'], ask: 'GET /a', answer: 'tenant /:id' },
  { what: "the tenant's static route before the app's parametric one", tenant: ['GET /a'], app: ['GET /:id'], ask: 'GET /a', answer: 'tenant /a' },
  { what: "the app's parametric route before the tenant's wildcard", tenant: ['GET /*'], app: ['GET /:id'], ask: 'GET /a', answer: 'app /:id' },
  { what: "the tenant's static route before its parametric one", tenant: ['GET /:id', 'GET /a'], ask: 'GET /a', answer: 'tenant /a' },
  { what: "the tenant's route with a pattern, where it fits", tenant: ['GET /:id(^\\d+$)'], app: ['GET /:id'], ask: 'GET /7', answer: 'tenant /:id(^\\d+$)' },
  { what: "the app's, where the tenant's pattern does not fit", tenant: ['GET /:id(^\\d+$)'], app: ['GET /:id'], ask: 'GET /seven', answer: 'app /:id' },

  // A wildcard below a folder counts as a wildcard too.
  { what: "the tenant's narrow wildcard before the app's wide one", tenant: ['GET /files/*'], app: ['GET /*'], ask: 'GET /files/a', answer: 'tenant /files/*' },
  { what: "the tenant's wide wildcard before the app's narrow one", tenant: ['GET /*'], app: ['GET /files/*'], ask: 'GET /files/a', answer: 'tenant /*' },
  { what: "the app's wildcard where the tenant's does not reach", tenant: ['GET /files/*'], app: ['GET /*'], ask: 'GET /a', answer: 'app /*' },
  { what: "the tenant's own routes beside a single-page app's wildcard", tenant: ['GET /api/a'], app: ['GET /*'], ask: 'GET /api/a', answer: 'tenant /api/a' },

  // The method is part of a route.
  { what: "the app's route of a method that the tenant's URL has not", tenant: ['GET /a'], app: ['POST /a'], ask: 'POST /a', answer: 'app /a' },
  { what: "the tenant's wildcard of this method only", tenant: ['GET /*'], app: ['POST /*'], ask: 'POST /a', answer: 'app /*' },
  { what: "the tenant's 404 handler for any method", tenant: ['GET /a', '404'], ask: 'DELETE /a', answer: 'tenant 404' },
  { what: "the HEAD of the tenant's GET", tenant: ['GET /a'], app: ['GET /a'], ask: 'HEAD /a', answer: 'tenant /a' },
  { what: "the app's HEAD before that of the tenant's wildcard", tenant: ['GET /*'], app: ['GET /a'], ask: 'HEAD /a', answer: 'app /a' },
  { what: "the tenant's OPTIONS before the app's", tenant: ['OPTIONS /a'], app: ['OPTIONS /*'], ask: 'OPTIONS /a', answer: 'tenant /a' },
  { what: "the app's OPTIONS for whatever the tenant leaves", tenant: ['GET /a'], app: ['OPTIONS /*'], ask: 'OPTIONS /a', answer: 'app /*' },

  // The root URL and the query.
  { what: "the tenant's root", tenant: ['GET /'], app: ['GET /'], ask: 'GET /', answer: 'tenant /' },
  { what: "the app's root before the tenant's wildcard", tenant: ['GET /*'], app: ['GET /'], ask: 'GET /', answer: 'app /' },
  { what: "the tenant's own route with a query", tenant: ['GET /a'], app: ['GET /a'], ask: 'GET /a?b=/c', answer: 'tenant /a' },
  { what: 'an encoded URL is the route it stands for', tenant: ['GET /ä'], app: ['GET /*'], ask: 'GET /%C3%A4', answer: 'tenant /ä' }
]

t.test('who answers', async t => {
  for (const { what, tenant, app: has, ask, answer } of cases) {
    for (const temperature of ['cold', 'warm']) {
      t.test(`${what}, ${temperature}`, async t => {
        const app = appOf(t, { acme: answering('tenant', tenant) })
        await answering('app', has)(app, {})
        await app.ready()
        if (temperature === 'warm') await app.multitenant.init('acme')

        const [method, url] = ask.split(' ') as ['GET' | 'HEAD', string]
        const { body, headers, statusCode } = await app.inject({ method, url, headers: as('acme') })
        if (method === 'HEAD') t.equal(headers['x-answered'], answer)
        else t.equal(body, answer)
        t.equal(statusCode, answer.endsWith('404') ? 404 : 200)
      })
    }
  }

  t.test("the app's 404 answers where nobody has a handler", async t => {
    const app = appOf(t, { acme: async () => {} })
    const answer = await app.inject({ url: '/a', headers: as('acme') })
    t.equal(answer.statusCode, 404)
    t.strictSame(answer.json(), { message: 'Route GET:/a not found', error: 'Not Found', statusCode: 404 })
  })

  t.test('requests without a tenant never reach a tenant', async t => {
    const app = appOf(t, { acme: answering('tenant', ['GET /a', 'GET /*', '404']) })
    await answering('app', ['GET /b', '404'])(app, {})
    await app.ready()
    await app.multitenant.init('acme')
    t.equal((await app.inject('/a')).body, 'app 404')
    t.equal((await app.inject('/b')).body, 'app /b')
  })

  t.test("a tenant's routes do not answer for other tenants", async t => {
    const app = appOf(t, { acme: answering('acme', ['GET /a', '404']), globex: answering('globex', ['GET /b']) })
    const body = async (id: string, url: string): Promise<string> => (await app.inject({ url, headers: as(id) })).body
    t.equal(await body('acme', '/a'), 'acme /a')
    t.equal(await body('acme', '/b'), 'acme 404')
    t.equal(await body('globex', '/b'), 'globex /b')
    t.match(await body('globex', '/a'), 'Route GET:/a not found')
  })

  t.test("the app's route answers for the tenant", async t => {
    const app = appOf(t, { acme: async () => {} })
    app.get('/a', async request => ({ id: request.tenantId, tenant: request.tenant }))
    app.setNotFoundHandler(async request => ({ id: request.tenantId, tenant: request.tenant }))
    const acme = { id: 'acme', tenant: { id: 'acme', name: 'acme', state: 'active', generation: 1, services: [] } }
    t.strictSame((await app.inject({ url: '/a', headers: as('acme') })).json(), acme)
    t.strictSame((await app.inject({ url: '/b', headers: as('acme') })).json(), acme)
    t.strictSame((await app.inject('/a')).json(), { id: null, tenant: null })
  })

  t.test("a route of the app's child counts as the app's route", async t => {
    const app = appOf(t, { acme: answering('tenant', ['GET /*', 'GET /child/own']) })
    app.register(answering('app', ['GET /a']), { prefix: '/child' })
    t.equal((await app.inject({ url: '/child/a', headers: as('acme') })).body, 'app /child/a')
    t.equal((await app.inject({ url: '/child/own', headers: as('acme') })).body, 'tenant /child/own')
    t.equal((await app.inject({ url: '/child/b', headers: as('acme') })).body, 'tenant /*')
  })

  t.test("a URL with a parameter that is too long is refused as the app's options say", async t => {
    const app = appOf(t, { acme: answering('tenant', ['GET /:id']) })
    // Older versions of Fastify decode a URL only if the app has a route for the method.
    app.get('/of/the/app', async () => 'app')
    const answer = await app.inject({ url: `/${'x'.repeat(200)}`, headers: as('acme') })
    t.equal(answer.statusCode, 414)
    const bad = await app.inject({ url: '/%zz', headers: as('acme') })
    t.equal(bad.statusCode, 400)
    t.match(bad.json(), { code: 'FST_ERR_BAD_URL' })
  })
})

t.test('config.tenant of a route', async t => {
  async function ruled (t: Parameters<typeof emptyApp>[0], required: boolean): Promise<FastifyInstance> {
    const app = emptyApp(t)
    app.register(multitenant, { required, tenants: tenants({ acme: answering('tenant', ['GET /ignore', 'GET /required', 'GET /own']) }) })
    for (const tenant of ['ignore', 'required', 'optional'] as const) {
      app.get(`/${tenant}`, { config: { tenant } }, async request => `app, ${request.tenantId}`)
    }
    app.get('/plain', async request => `app, ${request.tenantId}`)
    return app
  }

  const cases: Array<[url: string, id: string | undefined, required: boolean, answer: string | number]> = [
    ['/ignore', undefined, true, 'app, null'],
    ['/ignore', 'acme', false, 'app, null'],
    ['/ignore', 'initech', true, 'app, null'],
    ['/ignore', '../etc', true, 'app, null'],
    ['/required', undefined, false, 400],
    ['/required', 'acme', false, 'tenant /required'],
    ['/required', 'initech', false, 404],
    ['/optional', undefined, true, 'app, null'],
    ['/optional', 'acme', true, 'app, acme'],
    ['/optional', 'initech', true, 404],
    ['/plain', undefined, true, 400],
    ['/plain', undefined, false, 'app, null'],
    ['/plain', 'acme', true, 'app, acme'],
    ['/nowhere', undefined, true, 400],
    ['/nowhere', undefined, false, 404],
    ['/own', 'acme', true, 'tenant /own']
  ]
  for (const [url, id, required, answer] of cases) {
    t.test(`${url} for ${id ?? 'nobody'} with required: ${required}`, async t => {
      const app = await ruled(t, required)
      const { statusCode, body } = await app.inject({ url, ...(id !== undefined && { headers: as(id) }) })
      if (typeof answer === 'number') t.equal(statusCode, answer)
      else t.equal(body, answer)
    })
  }

  t.test('a preflight without a tenant is not refused', async t => {
    const app = await ruled(t, true)
    app.options('/plain', async () => 'preflight')
    const preflight = { origin: 'https://acme.example', 'access-control-request-method': 'GET' }
    t.equal((await app.inject({ method: 'OPTIONS', url: '/plain', headers: preflight })).body, 'preflight')
    t.equal((await app.inject({ method: 'OPTIONS', url: '/plain', headers: { origin: 'https://acme.example' } })).statusCode, 400)
    t.equal((await app.inject({ method: 'GET', url: '/plain', headers: preflight })).statusCode, 400)
  })

  t.test("a route with tenant: 'ignore' calls no strategy, and loads nothing", async t => {
    const asked: string[] = []
    const app = emptyApp(t)
    app.register(multitenant, {
      tenants: { acme: {} },
      identify: request => {
        asked.push(request.url)
        return 'acme'
      }
    })
    app.get('/health', { config: { tenant: 'ignore' } }, async () => 'ok')
    app.get('/plain', async () => 'ok')
    await app.inject('/health')
    t.strictSame(asked, [])
    t.equal((await app.multitenant.stats()).loads, 0)
    await app.inject('/plain')
    t.strictSame(asked, ['/plain'])
    t.equal((await app.multitenant.stats()).loads, 1)
  })
})

t.test('the same method and URL', async t => {
  t.test('40 tenants answer at the same method and URL', async t => {
    // Route constraints stop at 31 handlers.
    const ids = Array.from({ length: 40 }, (_, n) => `tenant-${n}`)
    const app = appOf(t, Object.fromEntries(ids.map(id => [id, answering(id, ['GET /a', 'GET /:b/c', '404'])])))
    await app.ready()
    for (const pass of ['cold', 'warm']) {
      const answers = await Promise.all(ids.map(async id => [
        (await app.inject({ url: '/a', headers: as(id) })).body,
        (await app.inject({ url: '/b/c', headers: as(id) })).body,
        (await app.inject({ url: '/nowhere', headers: as(id) })).body
      ]))
      t.strictSame(answers, ids.map(id => [`${id} /a`, `${id} /:b/c`, `${id} 404`]), pass)
    }
    t.equal((await app.multitenant.stats()).active, 40)
  })

  t.test('40 tenants answer with their own versions at the same method and URL', async t => {
    const ids = Array.from({ length: 40 }, (_, n) => `tenant-${n}`)
    const versions = (id: string): FastifyPluginAsync => async scope => {
      for (const version of ['1.0.0', '2.0.0']) scope.get('/a', { constraints: { version } }, async () => `${id} ${version}`)
    }
    const app = appOf(t, Object.fromEntries(ids.map(id => [id, versions(id)])))
    for (const id of ids) {
      t.equal((await app.inject({ url: '/a', headers: { ...as(id), 'accept-version': '1.x' } })).body, `${id} 1.0.0`)
      t.equal((await app.inject({ url: '/a', headers: { ...as(id), 'accept-version': '2.x' } })).body, `${id} 2.0.0`)
    }
  })
})
