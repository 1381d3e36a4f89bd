import cookie from '@fastify/cookie'
import session from '@fastify/session'
import t from 'tap'
import { registered } from '../fixtures/http/registered.ts'
import type { FastifyInstance, FastifyReply, FastifyRequest, LightMyRequestResponse } from 'fastify'
import { as } from '../fixtures/http/app.ts'
import type { Teardown } from '../fixtures/http/app.ts'

declare module 'fastify' {
  interface Session {
    tenant?: string
    visits?: number
  }
}

const kMark = Symbol('mark')

/** The properties that hooks set on requests and replies, decorated or not. */
type Marked = Record<string | symbol, unknown>

function marked (object: FastifyRequest | FastifyReply): Marked {
  return object as unknown as Marked
}

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
