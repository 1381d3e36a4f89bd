import t from 'tap'
import type { FastifyInstance, FastifyPluginAsync, LightMyRequestResponse } from 'fastify'
import multitenant from '../../index.ts'
import type { MultitenantOptions } from '../../index.ts'
import { as, emptyApp, inFlight, listen, tenants } from '../fixtures/http/app.ts'
import { exchange } from '../fixtures/http/exchange.ts'
import { ANSWERED, once, recordHooks } from '../fixtures/http/hooks.ts'

const acme: FastifyPluginAsync = async scope => {
  scope.get('/', async request => `${request.tenantId} root`)
  scope.get('/own', async request => `${request.tenantId} ${request.routeOptions.url}`)
  scope.get('/own/:id', async request => request.params)
}

const globex: FastifyPluginAsync = async scope => {
  scope.setNotFoundHandler(async (request, reply) => {
    reply.code(404)
    return `globex 404, ${request.tenantId}`
  })
}

const initech: FastifyPluginAsync = async scope => {
  scope.get('/*', async request => `initech ${request.routeOptions.url}`)
}

const plugins = { acme, globex, initech }

/** Registers the plugin and more in a child context. */
function below (fill: (child: FastifyInstance) => void = () => {}, options: MultitenantOptions = {}): FastifyPluginAsync {
  return async child => {
    await child.register(multitenant, { tenants: tenants(plugins), ...options })
    fill(child)
  }
}

async function ask (app: FastifyInstance, url: string, id?: string): Promise<LightMyRequestResponse> {
  return await app.inject({ url, ...(id !== undefined && { headers: as(id) }) })
}

t.test('below a prefix', async t => {
  t.test("the tenants' routes have the prefix", async t => {
    const app = emptyApp(t)
    app.register(below(), { prefix: '/api' })
    t.equal((await ask(app, '/api/own', 'acme')).body, 'acme /api/own')
    t.strictSame((await ask(app, '/api/own/1', 'acme')).json(), { id: '1' })
    t.equal((await ask(app, '/own', 'acme')).statusCode, 404)
    t.equal((await ask(app, '/api/own')).statusCode, 404)
  })

  for (const temperature of ['cold', 'warm']) {
    t.test(`each hook runs once, for URLs that the app knows or not, ${temperature}`, async t => {
      const app = emptyApp(t)
      const ran = recordHooks(app)
      let child: FastifyInstance | undefined
      app.register(below(scope => {
        child = scope
        scope.get('/shared', async () => ({}))
      }, {
        tenants: tenants({ acme: async scope => { scope.get('/own', async () => ({})) } })
      }), { prefix: '/api' })
      await listen(app)
      if (temperature === 'warm') await child?.multitenant.init('acme')
      for (const [url, route] of [['/api/own', '/api/own'], ['/api/shared', '/api/shared'], ['/api/nowhere', '404']] as const) {
        ran.length = 0
        await exchange(app, { url, tenant: 'acme' })
        t.strictSame(ran, once(ANSWERED, route))
      }
      t.equal(await inFlight(child as FastifyInstance, 'acme'), 0)
    })
  }

  t.test('the root of the prefix answers with and without a slash', async t => {
    const app = emptyApp(t)
    app.register(below(), { prefix: '/api' })
    t.equal((await ask(app, '/api', 'acme')).body, 'acme root')
    t.equal((await ask(app, '/api/', 'acme')).body, 'acme root')
    t.equal((await ask(app, '/apis', 'acme')).statusCode, 404)
  })

  t.test('the prefix may end with a slash', async t => {
    const app = emptyApp(t)
    app.register(below(child => { child.get('shared', async request => request.tenantId) }, {
      tenants: tenants({ acme: async scope => { scope.get('own', async request => `${request.tenantId} ${request.routeOptions.url}`) } })
    }), { prefix: '/api/' })
    t.equal((await ask(app, '/api/own', 'acme')).body, 'acme /api/own')
    t.equal((await ask(app, '/api/shared', 'acme')).body, 'acme')
  })

  t.test('the prefix may have a parameter', async t => {
    const app = emptyApp(t)
    app.register(below(), { prefix: '/:version' })
    t.strictSame((await ask(app, '/v1/own/2', 'acme')).json(), { version: 'v1', id: '2' })
    t.equal((await ask(app, '/v1/nowhere', 'globex')).body, 'globex 404, globex')
  })

  t.test('the order of who answers is the same', async t => {
    const app = emptyApp(t)
    app.setNotFoundHandler(async (request, reply) => {
      reply.code(404)
      return `app 404, ${request.tenantId}`
    })
    app.register(below(child => {
      child.get('/own', async request => `app /own, ${request.tenantId}`)
      child.get('/shared', async request => `app /shared, ${request.tenantId}`)
    }), { prefix: '/api' })
    app.get('/files/*', async () => 'app /files/*')

    t.equal((await ask(app, '/api/own', 'acme')).body, 'acme /api/own')
    t.equal((await ask(app, '/api/own', 'globex')).body, 'app /own, globex')
    t.equal((await ask(app, '/api/shared', 'initech')).body, 'app /shared, initech')
    t.equal((await ask(app, '/api/nowhere', 'initech')).body, 'initech /api/*')
    t.equal((await ask(app, '/api/nowhere', 'globex')).body, 'globex 404, globex')
    t.equal((await ask(app, '/api/nowhere', 'acme')).body, 'app 404, acme')
    t.equal((await ask(app, '/api/nowhere')).body, 'app 404, null')
    t.equal((await ask(app, '/api/own')).body, 'app /own, null')
  })

  t.test('refusals are the same', async t => {
    const app = emptyApp(t)
    app.register(below(child => { child.get('/shared', async () => 'app') }, { required: true }), { prefix: '/api' })
    for (const url of ['/api/shared', '/api/nowhere', '/api']) {
      t.match((await ask(app, url, 'hooli')).json(), { statusCode: 404, code: 'FST_TENANT_NOT_FOUND' }, url)
      t.match((await ask(app, url)).json(), { statusCode: 400, code: 'FST_TENANT_REQUIRED' }, url)
      t.match((await ask(app, url, '../etc')).json(), { statusCode: 400, code: 'FST_TENANT_INVALID_ID' }, url)
    }
  })

  t.test("refusals come after the child's earlier hooks, at the tenants' own URLs too", async t => {
    const app = emptyApp(t)
    app.register(async child => {
      child.addHook('onRequest', async (_request, reply) => { reply.header('access-control-allow-origin', '*') })
      await child.register(multitenant, {
        tenants: tenants({
          broken: async scope => {
            scope.get('/own', async () => 'own')
            throw new Error('broken on purpose')
          }
        })
      })
      child.get('/shared', async () => 'shared')
    }, { prefix: '/api' })
    for (const url of ['/api/shared', '/api/own']) {
      const answer = await ask(app, url, 'broken')
      t.equal(answer.statusCode, 503)
      t.equal(answer.headers['access-control-allow-origin'], '*', url)
    }
  })

  t.test('no tenant is identified outside of the prefix', async t => {
    const asked: string[] = []
    const app = emptyApp(t)
    app.register(below(() => {}, {
      identify: request => {
        asked.push(request.url)
        return 'acme'
      }
    }), { prefix: '/api' })
    app.get('/outside', async request => 'tenant' in request)
    t.equal((await ask(app, '/outside')).json(), false)
    t.equal((await ask(app, '/nowhere')).statusCode, 404)
    t.equal((await ask(app, '/apis/own')).statusCode, 404)
    t.strictSame(asked, [])
    t.equal((await ask(app, '/api/own')).body, 'acme /api/own')
    t.strictSame(asked, ['/api/own'])
    t.notOk('multitenant' in app)
  })

  t.test('an invalid tenant does not matter outside of the prefix', async t => {
    const app = emptyApp(t)
    app.register(below(() => {}, { required: true }), { prefix: '/api' })
    app.get('/outside', async () => 'outside')
    t.equal((await ask(app, '/outside', 'hooli')).body, 'outside')
    t.equal((await ask(app, '/outside')).body, 'outside')
  })

  t.test("the child's own 404 handler answers", async t => {
    const app = emptyApp(t)
    app.setNotFoundHandler(async () => 'app 404')
    app.register(below(child => {
      child.setNotFoundHandler(async (request, reply) => {
        reply.code(404)
        return `child 404, ${request.tenantId}`
      })
    }), { prefix: '/api' })
    t.equal((await ask(app, '/api/nowhere', 'acme')).body, 'child 404, acme')
    t.equal((await ask(app, '/api/nowhere')).body, 'child 404, null')
    t.equal((await ask(app, '/api/nowhere', 'globex')).body, 'globex 404, globex')
    t.equal((await ask(app, '/api/own', 'acme')).body, 'acme /api/own')
    t.equal((await ask(app, '/nowhere', 'acme')).body, 'app 404')
  })

  t.test("the child's hooks and error handler apply to its tenants", async t => {
    const app = emptyApp(t)
    const ran: string[] = []
    app.addHook('onRequest', async () => { ran.push('app') })
    app.register(below(child => {
      child.addHook('onRequest', async request => { ran.push(`child, ${request.tenantId}`) })
      child.setErrorHandler(async (error: Error) => `child: ${error.message}`)
    }, {
      tenants: tenants({ acme: async scope => { scope.get('/fails', async () => { throw new Error('failed') }) } })
    }), { prefix: '/api' })
    t.equal((await ask(app, '/api/fails', 'acme')).body, 'child: failed')
    t.strictSame(ran, ['app', 'child, acme'])
    t.match((await ask(app, '/api/fails', 'hooli')).body, 'child: ')
  })

  t.test('the path strategy reads the segment after the prefix', async t => {
    const app = emptyApp(t)
    app.register(below(child => {
      child.get('/shared', async request => [request.tenantId, request.url, request.originalUrl])
    }, { identify: 'path' }), { prefix: '/api' })
    t.equal((await ask(app, '/api/acme/own')).body, 'acme /api/own')
    t.equal((await ask(app, '/api/acme')).body, 'acme root')
    t.strictSame((await ask(app, '/api/acme/shared')).json(), ['acme', '/api/shared', '/api/acme/shared'])
    t.equal((await ask(app, '/api/globex/nowhere')).body, 'globex 404, globex')
    t.equal((await ask(app, '/acme/own')).statusCode, 404)
  })

  t.test("order: 'registered'", async t => {
    const app = emptyApp(t)
    const early: string[] = []
    app.register(async child => {
      child.decorateRequest('visitor', null)
      child.addHook('onRequest', async request => {
        early.push(request.url)
        request.setDecorator('visitor', request.headers.authorization ?? null)
      })
      await child.register(multitenant, {
        order: 'registered', identify: request => request.getDecorator<string | null>('visitor'), tenants: tenants(plugins)
      })
      child.get('/shared', async request => request.tenantId)
    }, { prefix: '/api' })
    const body = async (url: string): Promise<string> => (await app.inject({ url, headers: { authorization: 'acme' } })).body
    t.equal(await body('/api/shared'), 'acme')
    t.strictSame(early, ['/api/shared'])
    // Fastify itself runs no hook of the child for a URL that matches no route of the app.
    t.equal(await body('/api/own'), 'acme /api/own')
    t.strictSame(early, ['/api/shared', '/api/own'])
  })
})

t.test('registered twice', async t => {
  function answering (who: string): FastifyPluginAsync {
    return async scope => { scope.get('/who', async request => `${who} ${request.tenantId} ${request.routeOptions.url}`) }
  }

  async function twice (t: Parameters<typeof emptyApp>[0]): Promise<{ app: FastifyInstance, children: FastifyInstance[] }> {
    const app = emptyApp(t)
    const children: FastifyInstance[] = []
    app.register(below(child => { children.push(child) }, {
      tenants: tenants({ acme: answering('shop'), globex: answering('shop') })
    }), { prefix: '/shop' })
    app.register(below(child => { children.push(child) }, {
      identify: 'query', tenants: tenants({ acme: answering('blog'), initech: answering('blog') })
    }), { prefix: '/blog' })
    await app.ready()
    return { app, children }
  }

  t.test('each registration has its own tenants and its own strategy', async t => {
    const { app } = await twice(t)
    t.equal((await ask(app, '/shop/who', 'acme')).body, 'shop acme /shop/who')
    t.equal((await ask(app, '/blog/who?tenant=acme')).body, 'blog acme /blog/who')
    t.equal((await ask(app, '/shop/who', 'globex')).statusCode, 200)
    t.match((await ask(app, '/blog/who?tenant=globex')).json(), { code: 'FST_TENANT_NOT_FOUND' })
    t.match((await ask(app, '/shop/who', 'initech')).json(), { code: 'FST_TENANT_NOT_FOUND' })
    t.equal((await ask(app, '/blog/who?tenant=initech')).body, 'blog initech /blog/who')
    t.equal((await ask(app, '/blog/who', 'acme')).statusCode, 404, 'a header names nobody there')
  })

  t.test('a registration does not see the tenants of the other, and both close with the app', async t => {
    const { app, children } = await twice(t)
    await ask(app, '/shop/who', 'acme')
    const [shop, blog] = await Promise.all(children.map(async child => await child.multitenant.stats()))
    t.match(shop, { total: 2, active: 1 })
    t.match(blog, { total: 2, active: 0 })
    await app.close()
    t.equal(children[0]?.multitenant.get('acme'), null)
  })

  t.test('one registration may be below the other', async t => {
    const app = emptyApp(t)
    app.register(below(child => {
      child.register(async inner => { inner.get('/shared', async request => request.tenantId) }, { prefix: '/inner' })
    }), { prefix: '/outer' })
    t.equal((await ask(app, '/outer/inner/shared', 'acme')).body, 'acme')
  })
})

t.test('in a child without a prefix', async t => {
  t.test("tenants' routes answer, whether the app has the URL or not", async t => {
    const app = emptyApp(t)
    app.setNotFoundHandler(async (request, reply) => {
      reply.code(404)
      return `app 404, ${request.tenantId}`
    })
    app.register(below(child => { child.get('/shared', async request => `shared, ${request.tenantId}`) }))
    t.equal((await ask(app, '/own', 'acme')).body, 'acme /own')
    t.equal((await ask(app, '/shared', 'acme')).body, 'shared, acme')
    t.equal((await ask(app, '/nowhere', 'globex')).body, 'globex 404, globex')
    t.equal((await ask(app, '/nowhere', 'acme')).body, 'app 404, acme')
    t.match((await ask(app, '/nowhere', 'hooli')).json(), { code: 'FST_TENANT_NOT_FOUND' })
    t.equal((await ask(app, '/shared')).body, 'shared, null')
  })

  t.test('routes beside the child have no tenant', async t => {
    const app = emptyApp(t)
    app.register(below())
    app.get('/beside', async request => 'tenant' in request)
    t.equal((await ask(app, '/beside', 'acme')).json(), false)
    t.equal((await ask(app, '/beside', 'hooli')).json(), false)
  })

  t.test('each hook of the app runs once', async t => {
    const app = emptyApp(t)
    const ran = recordHooks(app)
    app.register(below(() => {}, { tenants: tenants({ acme: async scope => { scope.get('/own', async () => ({})) } }) }))
    await listen(app)
    await exchange(app, { url: '/own', tenant: 'acme' })
    t.strictSame(ran, once(ANSWERED, '/own'))
    ran.length = 0
    await exchange(app, { url: '/nowhere', tenant: 'acme' })
    t.strictSame(ran, once(ANSWERED, '404'))
  })
})

t.test('children that were made before', async t => {
  t.test('are identified first too, and refused where the plugin is registered', async t => {
    const app = emptyApp(t)
    const ran: string[] = []
    await app.register(async api => {
      await api.register(async early => {
        early.addHook('onRequest', async request => { ran.push(`early, ${request.tenantId}`) })
        early.get('/early', async request => `early ${request.tenantId}`)
        await early.register(async deep => {
          deep.addHook('onRequest', async request => { ran.push(`deep, ${request.tenantId}`) })
          deep.get('/deep', async request => `deep ${request.tenantId}`)
        })
      })
      await api.register(multitenant, { tenants: tenants({ acme: async scope => { scope.get('/deep', async () => 'acme') } }) })
    }, { prefix: '/api' })

    t.equal((await ask(app, '/api/early', 'acme')).body, 'early acme')
    t.strictSame(ran, ['early, acme'])
    ran.length = 0
    t.equal((await ask(app, '/api/deep', 'acme')).body, 'acme', "the tenant's route, where the hooks of those children are not")
    t.strictSame(ran, [])
    t.match((await ask(app, '/api/deep', 'hooli')).json(), { code: 'FST_TENANT_NOT_FOUND' })
  })

  t.test('have request.tenant null if the request names no tenant', async t => {
    const app = emptyApp(t)
    await app.register(async early => {
      early.decorateRequest('mark', 'mark')
      early.get('/early', async request => [String(request.tenant), String(request.tenantId)])
      early.get('/ignored', { config: { tenant: 'ignore' } }, async request => [String(request.tenant), String(request.tenantId)])
    })
    await app.register(multitenant, { tenants: {} })
    t.strictSame((await ask(app, '/early')).json(), ['null', 'null'])
    t.strictSame((await ask(app, '/ignored')).json(), ['null', 'null'])
  })
})

t.test('init() where the plugin is in a child of the app', async t => {
  for (const moment of ['before the app is ready', 'after']) {
    t.test(moment, async t => {
      const app = emptyApp(t)
      const children: FastifyInstance[] = []
      app.register(below(child => { children.push(child) }), { prefix: '/api' })
      if (moment === 'after') await app.ready()
      else await app.after()
      const tenant = await children[0]?.multitenant.init('acme')
      t.equal(tenant?.id, 'acme')
      t.equal((await ask(app, '/api/own', 'acme')).body, 'acme /api/own')
    })
  }
})
