import cookie from '@fastify/cookie'
import session from '@fastify/session'
import t from 'tap'
import type { FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest, LightMyRequestResponse } from 'fastify'
import multitenant from '../index.ts'
import type { MultitenantOptions } from '../index.ts'
import { as, emptyApp, listen, tenants } from './fixtures/http/app.ts'
import type { Teardown } from './fixtures/http/app.ts'
import { exchange } from './fixtures/http/exchange.ts'
import { ANSWERED, once, recordHooks } from './fixtures/http/hooks.ts'

declare module 'fastify' {
  interface Session {
    tenant?: string
    visits?: number
  }
}

const TEMPERATURES = ['cold', 'warm'] as const
const kMark = Symbol('mark')

/** The properties that hooks set on requests and replies, decorated or not. */
type Marked = Record<string | symbol, unknown>

function marked (object: FastifyRequest | FastifyReply): Marked {
  return object as unknown as Marked
}

/** Registers the plugin after `early`. */
async function registered (t: Teardown, plugins: Record<string, FastifyPluginAsync>, early: (app: FastifyInstance) => void, options: MultitenantOptions = {}): Promise<FastifyInstance> {
  const app = emptyApp(t)
  early(app)
  await app.register(multitenant, { order: 'registered', ...options, tenants: tenants(plugins) })
  return app
}

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

t.test('properties that earlier hooks set on the request and the reply', async t => {
  /** An app whose earlier hook sets properties, and a tenant's route that runs `inTenant` with both requests and replies. */
  async function sharing (t: Teardown, inTenant: (inner: Marked, outer: Marked) => unknown, of: 'request' | 'reply'): Promise<LightMyRequestResponse> {
    let outer: Marked = {}
    const app = await registered(t, {
      acme: async scope => {
        scope.get('/own', async (request, reply) => inTenant(marked(of === 'request' ? request : reply), outer))
      }
    }, app => {
      app.decorateRequest('decorated', null)
      app.decorateReply('decorated', null)
      app.decorateRequest(kMark, null)
      app.decorateReply(kMark, null)
      app.addHook('onRequest', async (request, reply) => {
        outer = marked(of === 'request' ? request : reply)
        outer.plain = 'plain'
        outer.decorated = { by: 'early' }
        outer[kMark] = 'symbol'
        outer[Symbol.for('undeclared')] = 'undeclared'
      })
    })
    return await app.inject({ url: '/own', headers: as('acme') })
  }

  for (const of of ['request', 'reply'] as const) {
    t.test(`can be read in the tenant: ${of}`, async t => {
      const answer = await sharing(t, (inner, outer) => {
        t.not(inner, outer)
        t.equal(inner.plain, 'plain')
        t.equal(inner.decorated, outer.decorated, 'the same object')
        t.strictSame(inner.decorated, { by: 'early' })
        t.equal(inner[kMark], 'symbol')
        t.equal(inner[Symbol.for('undeclared')], 'undeclared')
        return 'seen'
      }, of)
      t.equal(answer.body, 'seen')
    })

    t.test(`are changed for both by the tenant: ${of}`, async t => {
      const answer = await sharing(t, (inner, outer) => {
        for (const key of ['plain', 'decorated', kMark, Symbol.for('undeclared')]) {
          inner[key] = `${String(key)} by the tenant`
          t.equal(outer[key], `${String(key)} by the tenant`)
        }
        return 'seen'
      }, of)
      t.equal(answer.body, 'seen')
    })

    t.test(`are changed for both by the app, where a copy would differ: ${of}`, async t => {
      const answer = await sharing(t, (inner, outer) => {
        const copy = { ...inner }
        for (const key of ['plain', 'decorated', kMark, Symbol.for('undeclared')]) {
          outer[key] = null
          t.equal(inner[key], null)
          t.not(copy[key], null, 'the negative control')
        }
        return 'seen'
      }, of)
      t.equal(answer.body, 'seen')
    })
  }

  t.test("do not include the tenant's own: route, id, parameters, tenant", async t => {
    const app = await registered(t, {
      acme: async scope => {
        scope.get('/own/:id', async (request, reply) => ({
          url: request.routeOptions.url, params: request.params, tenant: request.tenantId, same: reply.request === request, server: request.server === scope
        }))
      }
    }, app => { app.addHook('onRequest', async () => {}) })
    app.get('/own/*', async () => 'the app')
    t.strictSame((await app.inject({ url: '/own/1', headers: as('acme') })).json(), {
      url: '/own/:id', params: { id: '1' }, tenant: 'acme', same: true, server: true
    })
  })

  t.test('do not reach the next request', async t => {
    const app = await registered(t, {
      acme: async scope => {
        scope.get('/own', async request => {
          const before = marked(request).first
          marked(request).first = 'changed'
          return { before }
        })
      }
    }, app => {
      let count = 0
      app.addHook('onRequest', async request => {
        if (count++ === 0) marked(request).first = 'yes'
      })
    })
    t.strictSame((await app.inject({ url: '/own', headers: as('acme') })).json(), { before: 'yes' })
    t.strictSame((await app.inject({ url: '/own', headers: as('acme') })).json(), {})
  })
})

t.test('reply headers that earlier hooks set', async t => {
  async function headers (t: Teardown, early: (reply: FastifyReply) => void, inTenant: (reply: FastifyReply) => void): Promise<LightMyRequestResponse> {
    const app = await registered(t, {
      acme: async scope => {
        scope.get('/own', async (_request, reply) => {
          inTenant(reply)
          return 'own'
        })
      }
    }, app => {
      app.addHook('onRequest', (_request, reply, done) => {
        early(reply)
        done()
      })
    })
    return await app.inject({ url: '/own', headers: as('acme') })
  }

  t.test('are sent', async t => {
    const answer = await headers(t, reply => reply.header('x-early', 'early').header('vary', 'origin'), () => {})
    t.match(answer.headers, { 'x-early': 'early', vary: 'origin' })
  })

  t.test('can be read, replaced and removed by the tenant', async t => {
    const answer = await headers(t, reply => reply.headers({ 'x-early': 'early', 'x-gone': 'gone' }), reply => {
      reply.header('x-seen', reply.getHeader('x-early'))
      reply.header('x-early', 'late')
      reply.removeHeader('x-gone')
    })
    t.equal(answer.headers['x-seen'], 'early')
    t.equal(answer.headers['x-early'], 'late')
    t.notOk('x-gone' in answer.headers)
  })

  t.test('include cookies once each, in order, with those of the tenant', async t => {
    const early = (reply: FastifyReply): void => { reply.header('set-cookie', ['a=1', 'b=2']) }
    t.strictSame((await headers(t, early, () => {})).headers['set-cookie'], ['a=1', 'b=2'])
    t.strictSame((await headers(t, early, reply => reply.header('set-cookie', 'c=3'))).headers['set-cookie'], ['a=1', 'b=2', 'c=3'])
    const one = (reply: FastifyReply): void => { reply.header('set-cookie', 'a=1') }
    t.equal((await headers(t, one, () => {})).headers['set-cookie'], 'a=1')
  })

  t.test('stay on the raw reply', async t => {
    const answer = await headers(t, reply => reply.raw.setHeader('x-raw', 'raw'), () => {})
    t.equal(answer.headers['x-raw'], 'raw')
  })

  t.test('keep the status code', async t => {
    t.equal((await headers(t, reply => reply.code(202), () => {})).statusCode, 202)
    t.equal((await headers(t, reply => reply.code(202), reply => reply.code(203))).statusCode, 203)
  })
})

t.test('@fastify/cookie and @fastify/session before the plugin', async t => {
  interface Browser {
    app: FastifyInstance
    sessions: Map<string, object>
    visit (url: string): Promise<LightMyRequestResponse>
  }

  /** An app with the tenant in the session, and a browser that keeps its cookie. */
  async function browser (t: Teardown): Promise<Browser> {
    const sessions = new Map<string, object>()
    const app = await registered(t, {
      acme: async scope => {
        scope.get('/visit', async request => {
          request.session.visits = (request.session.visits ?? 0) + 1
          return `${request.tenantId} ${request.session.visits}`
        })
        scope.get('/logout', async request => {
          const copy = { ...request }
          await request.session.destroy()
          return { session: request.session, copied: copy.session !== null }
        })
        scope.get('/renew', async request => {
          const before = request.session.sessionId
          await request.session.regenerate(['tenant', 'visits'])
          return request.session.sessionId !== before
        })
        scope.get('/cookie', async (request, reply) => {
          reply.setCookie('own', 'acme')
          return request.cookies
        })
      },
      globex: async scope => { scope.get('/visit', async request => `globex ${request.session.visits ?? 0}`) }
    }, app => {
      app.register(cookie)
      app.register(session, {
        secret: 'a secret that is long enough for a session',
        cookie: { secure: false },
        saveUninitialized: false,
        store: {
          set: (id, session, done) => {
            sessions.set(id, JSON.parse(JSON.stringify(session)))
            done()
          },
          get: (id, done) => done(null, (sessions.get(id) ?? null) as never),
          destroy: (id, done) => {
            sessions.delete(id)
            done()
          }
        }
      })
    }, { identify: request => request.session.tenant })
    app.get<{ Params: { id: string } }>('/login/:id', async request => {
      request.session.tenant = request.params.id
      return 'welcome'
    })

    const jar: Record<string, string> = {}
    const visit = async (url: string): Promise<LightMyRequestResponse> => {
      const answer = await app.inject({ url, cookies: { ...jar } })
      for (const { name, value } of answer.cookies) jar[name] = value
      return answer
    }
    return { app, sessions, visit }
  }

  t.test('the session names the tenant, and changes by its routes are saved', async t => {
    const { sessions, visit } = await browser(t)
    t.equal((await visit('/visit')).statusCode, 404, 'nobody yet')
    await visit('/login/acme')
    t.equal((await visit('/visit')).body, 'acme 1')
    t.equal((await visit('/visit')).body, 'acme 2')
    t.match([...sessions.values()], [{ tenant: 'acme', visits: 2 }])
    await visit('/login/globex')
    t.equal((await visit('/visit')).body, 'globex 2')
    t.equal(sessions.size, 1)
  })

  t.test('the session cookie is set once', async t => {
    const { visit } = await browser(t)
    await visit('/login/acme')
    const answer = await visit('/visit')
    t.strictSame(answer.cookies.map(({ name }) => name), ['sessionId'])
  })

  t.test('session.destroy() in a route of the tenant ends the session, where a copy would keep it', async t => {
    const { sessions, visit } = await browser(t)
    await visit('/login/acme')
    t.equal(sessions.size, 1)
    const answer = await visit('/logout')
    t.strictSame(answer.json(), { session: null, copied: true })
    t.equal(sessions.size, 0, 'not saved again when the answer is sent')
    t.equal(answer.headers['set-cookie'], undefined)
    t.equal((await visit('/visit')).statusCode, 404)
  })

  t.test('session.regenerate() works in a route of the tenant', async t => {
    const { sessions, visit } = await browser(t)
    await visit('/login/acme')
    await visit('/visit')
    const [old] = sessions.keys()
    t.equal((await visit('/renew')).json(), true)
    t.equal(sessions.size, 1)
    t.notOk(sessions.has(old as string))
    t.equal((await visit('/visit')).body, 'acme 2')
  })

  t.test('cookies can be read and set in the tenant', async t => {
    const { visit } = await browser(t)
    await visit('/login/acme')
    const answer = await visit('/cookie')
    t.strictSame(Object.keys(answer.json()), ['sessionId'])
    t.strictSame(answer.cookies.map(({ name }) => name).sort(), ['own', 'sessionId'])
  })

  t.test('a session for an unknown tenant is refused', async t => {
    const { visit } = await browser(t)
    await visit('/login/initech')
    const answer = await visit('/visit')
    t.equal(answer.statusCode, 404)
    t.match(answer.json(), { code: 'FST_TENANT_NOT_FOUND' })
  })
})
