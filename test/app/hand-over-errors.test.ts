import { once as event } from 'node:events'
import { TEMPERATURES, warm } from '../fixtures/http/temperature.ts'
import type { IncomingMessage } from 'node:http'
import t from 'tap'
import type { Test } from 'tap'
import type { FastifyInstance, FastifyPluginAsync, FastifyRequest } from 'fastify'
import multitenant from '../../index.ts'
import { Door } from '../fixtures/door.ts'
import { appOf, as, emptyApp, inFlight, listen, tenants } from '../fixtures/http/app.ts'
import type { Teardown } from '../fixtures/http/app.ts'
import { ask, exchange } from '../fixtures/http/exchange.ts'
import { recordHooks } from '../fixtures/http/hooks.ts'

t.test('reply.callNotFound()', async t => {
  const calling: FastifyPluginAsync = async scope => {
    scope.get('/own', (_request, reply) => { reply.callNotFound() })
    await scope.register(async nested => {
      nested.setNotFoundHandler(async (request, reply) => {
        reply.code(404)
        return `nested ${request.tenantId}`
      })
      nested.get('/own', (_request, reply) => { reply.callNotFound() })
    }, { prefix: '/nested' })
    await scope.register(async plain => {
      plain.get('/own', (_request, reply) => { reply.callNotFound() })
    }, { prefix: '/plain' })
  }
  const withHandler: FastifyPluginAsync = async (scope, options) => {
    scope.setNotFoundHandler(async (request, reply) => {
      reply.code(404)
      return `tenant ${request.tenantId}`
    })
    await calling(scope, options)
  }

  async function answers (t: Test, app: FastifyInstance, id: string): Promise<string[]> {
    const bodies = []
    for (const url of ['/own', '/nested/own', '/plain/own', '/nested/unknown', '/unknown']) {
      const { statusCode, body } = await app.inject({ url, headers: as(id) })
      t.equal(statusCode, 404, url)
      bodies.push(body)
    }
    return bodies
  }

  t.test("calls the tenant's handler, or else the app's", async t => {
    const app = appOf(t, { acme: withHandler, globex: calling })
    app.setNotFoundHandler(async (request, reply) => {
      reply.code(404)
      return `app ${request.tenantId}`
    })
    t.strictSame(await answers(t, app, 'acme'), ['tenant acme', 'nested acme', 'tenant acme', 'nested acme', 'tenant acme'])
    t.strictSame(await answers(t, app, 'globex'), ['app globex', 'nested globex', 'app globex', 'nested globex', 'app globex'])
  })

  t.test("calls Fastify's own handler if the app has none", async t => {
    const app = appOf(t, { globex: calling })
    t.strictSame((await answers(t, app, 'globex')).map(body => body.startsWith('nested') ? body : JSON.parse(body).message), [
      'Route GET:/own not found', 'nested globex', 'Route GET:/plain/own not found', 'nested globex', 'Route GET:/unknown not found'
    ])
  })

  t.test("runs the app's hooks once, and those of its 404 handler", async t => {
    const app = emptyApp(t)
    const ran = recordHooks(app)
    app.register(multitenant, { tenants: tenants({ acme: withHandler, globex: calling }) })
    app.setNotFoundHandler({ preHandler: async () => { ran.push('of the 404 handler') } }, async (_request, reply) => {
      reply.code(404)
      return {}
    })
    await listen(app)
    await exchange(app, { url: '/own', tenant: 'globex' })
    t.strictSame(ran, await nativeCallNotFound(t), 'as in a child of the app')
  })

  t.test("calls the app's handler in a route of the app", async t => {
    const app = appOf(t, { acme: withHandler })
    app.get('/shared', (_request, reply) => { reply.callNotFound() })
    app.setNotFoundHandler(async request => `app ${request.tenantId}`)
    t.equal((await app.inject({ url: '/shared', headers: as('acme') })).body, 'app acme')
  })
})

t.test('errors', async t => {
  const failing: FastifyPluginAsync = async scope => {
    scope.get('/fails', async () => { throw new Error('failed') })
    scope.post('/checks', { schema: { body: { type: 'object', required: ['a'] } } }, async () => ({}))
  }
  const handling: FastifyPluginAsync = async (scope, options) => {
    scope.setErrorHandler(async (error: Error, request, reply) => {
      reply.code(418)
      return `tenant ${request.tenantId}: ${error.message}`
    })
    scope.get('/passes-on', async () => { throw new Error('passed') })
    await scope.register(async nested => {
      nested.setErrorHandler(async error => { throw error })
      nested.get('/nested', async () => { throw new Error('nested') })
    })
    await failing(scope, options)
  }

  t.test("go to the tenant's error handler, or else to the app's", async t => {
    const app = appOf(t, { acme: handling, globex: failing })
    app.setErrorHandler(async (error: Error, request, reply) => {
      reply.code(419)
      return `app ${request.tenantId}: ${error.message}`
    })
    app.get('/shared', async () => { throw new Error('shared') })
    const body = async (id: string, url: string): Promise<string> => (await app.inject({ url, headers: as(id) })).body
    t.equal(await body('acme', '/fails'), 'tenant acme: failed')
    t.equal(await body('acme', '/nested'), 'tenant acme: nested')
    t.equal(await body('globex', '/fails'), 'app globex: failed')
    t.equal(await body('acme', '/shared'), 'app acme: shared', "the app's route is the app's")
    const checked = await app.inject({ method: 'POST', url: '/checks', headers: as('acme'), payload: {} })
    t.equal(checked.statusCode, 418)
    t.match(checked.body, 'required property')
  })

  t.test("of the tenant's error handler go to the app's", async t => {
    const app = appOf(t, {
      acme: async scope => {
        scope.setErrorHandler(async (error: Error) => { throw new Error(`${error.message} again`) })
        scope.get('/fails', async () => { throw new Error('failed') })
      }
    })
    app.setErrorHandler(async (error: Error) => `app: ${error.message}`)
    t.equal((await app.inject({ url: '/fails', headers: as('acme') })).body, 'app: failed again')
  })

  t.test("of the app's hooks reach the tenant's error handler in its routes", async t => {
    const app = appOf(t, { acme: handling })
    app.addHook('preHandler', async () => { throw new Error('hook') })
    t.equal((await app.inject({ url: '/fails', headers: as('acme') })).body, 'tenant acme: hook')
  })

  t.test("go to Fastify's own handler if there is no other", async t => {
    const app = appOf(t, { globex: failing })
    const answer = await app.inject({ url: '/fails', headers: as('globex') })
    t.equal(answer.statusCode, 500)
    t.strictSame(answer.json(), { statusCode: 500, error: 'Internal Server Error', message: 'failed' })
  })
})

t.test('handlerTimeout and request.signal', async t => {
  const waiting = async (request: FastifyRequest): Promise<unknown> => {
    await event(request.signal, 'abort')
    return {}
  }

  t.test("the route's handlerTimeout applies", async t => {
    const app = await listen(appOf(t, { acme: async scope => { scope.get('/own', { handlerTimeout: 1 }, waiting) } }))
    const answer = await exchange(app, { url: '/own', tenant: 'acme' })
    t.equal(answer.status, 503)
    t.equal(JSON.parse(answer.body).code, 'FST_ERR_HANDLER_TIMEOUT')
    t.equal(await inFlight(app, 'acme'), 0)
  })

  t.test("the app's handlerTimeout applies", async t => {
    const app = await listen(appOf(t, { acme: async scope => { scope.get('/own', waiting) } }, {}, { handlerTimeout: 100 }))
    await app.multitenant.init('acme')
    const answer = await exchange(app, { url: '/own', tenant: 'acme' })
    t.equal(answer.status, 503)
    t.match(JSON.parse(answer.body), { code: 'FST_ERR_HANDLER_TIMEOUT', message: /\/own/ })
  })

  t.test('request.signal is aborted when the client has left', async t => {
    const gate = new Door()
    const app = await listen(appOf(t, {
      acme: async scope => {
        scope.get('/own', async request => {
          const aborted = event(request.signal, 'abort')
          gate.pass()
          await aborted
          told()
        })
      }
    }))
    let told: () => void = () => {}
    const aborted = new Promise<void>(resolve => { told = resolve })
    const client = ask(app, { url: '/own', tenant: 'acme' }).end()
    client.on('error', () => {})
    await gate.reached
    client.destroy()
    await aborted
  })
})

t.test('constraints', async t => {
  const versions: FastifyPluginAsync = async scope => {
    scope.get('/versioned', { constraints: { version: '1.2.0' } }, async () => 'acme 1')
    scope.get('/versioned', { constraints: { version: '2.0.0' } }, async () => 'acme 2')
    scope.get('/hosted', { constraints: { host: 'a.example' } }, async () => 'acme at a')
  }

  t.test("version and host constraints select the tenant's route", async t => {
    const app = appOf(t, { acme: versions })
    app.get('/versioned', async () => 'the app')
    app.get('/hosted', { constraints: { host: 'b.example' } }, async () => 'the app at b')
    const body = async (url: string, headers: Record<string, string>): Promise<string> => (await app.inject({ url, headers: { ...as('acme'), ...headers } })).body
    t.equal(await body('/versioned', { 'accept-version': '1.x' }), 'acme 1')
    t.equal(await body('/versioned', { 'accept-version': '2.x' }), 'acme 2')
    t.equal(await body('/versioned', {}), 'the app')
    t.equal(await body('/hosted', { host: 'a.example' }), 'acme at a')
    t.equal(await body('/hosted', { host: 'b.example' }), 'the app at b')
    t.match(await body('/hosted', { host: 'c.example' }), 'not found')
    t.equal(await body('/versioned', { 'accept-version': '3.x' }), 'the app', 'which knows no versions')
  })

  t.test("a version that only the app has does not select the tenant's route", async t => {
    const app = appOf(t, { acme: versions })
    app.get('/versioned', { constraints: { version: '3.0.0' } }, async request => `the app 3, ${request.headers['accept-version']}`)
    const answer = await app.inject({ url: '/versioned', headers: { ...as('acme'), 'accept-version': '3.x' } })
    t.equal(answer.body, 'the app 3, 3.x')
  })

  t.test('routes see the accept-version header of the client', async t => {
    const app = appOf(t, { acme: async scope => { scope.get('/own', async request => request.headers['accept-version']) } })
    app.get('/versioned', { constraints: { version: '1.0.0' } }, async () => 'the app 1')
    t.equal((await app.inject({ url: '/own', headers: { ...as('acme'), 'accept-version': '9.x' } })).body, '9.x')
  })

  const planStrategy = {
    name: 'plan',
    storage: () => {
      const stored = new Map<string, unknown>()
      return { get: (key: string) => stored.get(key) ?? null, set: (key: string, value: unknown) => { stored.set(key, value) } }
    },
    validate: () => {}
  }
  const plans: FastifyPluginAsync = async scope => {
    scope.get('/plan', { constraints: { plan: 'gold' } }, async () => 'gold')
    scope.get('/plan', { constraints: { plan: 'silver' } }, async () => 'silver')
    scope.get('/free', async () => 'free')
  }
  const plan = async (app: FastifyInstance, value: string, url = '/plan'): Promise<string> => (await app.inject({ url, headers: { ...as('acme'), 'x-plan': value } })).body

  for (const temperature of TEMPERATURES) {
    t.test(`a constraint strategy of the app, ${temperature}`, async t => {
      const app = emptyApp(t)
      app.addConstraintStrategy({ ...planStrategy, deriveConstraint: (raw: IncomingMessage) => raw.headers['x-plan'] } as never)
      app.register(multitenant, { tenants: tenants({ acme: plans }) })
      await app.ready()
      await warm(app, temperature)
      t.equal(await plan(app, 'gold'), 'gold')
      t.equal(await plan(app, 'silver'), 'silver')
      t.match(await plan(app, 'lead'), 'not found')
      t.equal(await plan(app, 'gold', '/free'), 'free')
    })

    t.test(`an asynchronous constraint strategy, ${temperature}`, async t => {
      const app = emptyApp(t)
      const ran = recordHooks(app)
      app.addConstraintStrategy({
        ...planStrategy,
        deriveConstraint: (raw: IncomingMessage, _context: unknown, done: (error: Error | null, plan?: unknown) => void) => {
          if (raw.headers['x-plan'] === 'fails') setImmediate(done, new Error('derived wrongly'))
          else setImmediate(done, null, raw.headers['x-plan'])
        }
      } as never)
      app.register(multitenant, { tenants: tenants({ acme: plans }) })
      app.get('/shared', async () => 'the app')
      await app.ready()
      await warm(app, temperature)
      t.equal(await plan(app, 'gold'), 'gold')
      t.strictSame(ran.filter(name => name.startsWith('onRequest')), ['onRequest /plan'])
      t.equal(await plan(app, 'silver'), 'silver')
      t.match(await plan(app, 'lead'), 'not found')
      t.equal(await plan(app, 'gold', '/free'), 'free')
      t.equal(await plan(app, 'gold', '/shared'), 'the app')
      t.match(await plan(app, 'fails'), 'Unexpected error from async constraint', 'as Fastify says it: the cause is nobody else\'s')
    })
  }

  t.test('a constraint strategy that only the tenant has', async t => {
    const app = appOf(t, {
      acme: async (scope, options) => {
        scope.addConstraintStrategy({ ...planStrategy, deriveConstraint: (raw: IncomingMessage) => raw.headers['x-plan'] } as never)
        await plans(scope, options)
      }
    })
    t.equal(await plan(app, 'gold'), 'gold')
    t.equal(await plan(app, 'silver'), 'silver')
    t.equal(app.hasConstraintStrategy('plan'), false)
  })
})

/** The hooks that plain Fastify runs, in a child of the app. */
async function nativeCallNotFound (t: Teardown): Promise<string[]> {
  const app = emptyApp(t)
  const ran = recordHooks(app)
  app.setNotFoundHandler({ preHandler: async () => { ran.push('of the 404 handler') } }, async (_request, reply) => {
    reply.code(404)
    return {}
  })
  app.register(async child => {
    child.get('/own', (_request, reply) => { reply.callNotFound() })
  })
  await listen(app)
  await exchange(app, { url: '/own' })
  return ran
}
