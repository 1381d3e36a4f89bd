import { setImmediate } from 'node:timers/promises'
import t from 'tap'
import type { FastifyInstance, FastifyReply, FastifyServerOptions, RouteOptions } from 'fastify'
import { hold } from '../fixtures/contract/contract.ts'
import type { Asked, Contract } from '../fixtures/contract/contract.ts'

/** A constraint strategy that reads a header. */
function byHeader (name: string, mustMatchWhenDerived = false): object {
  return {
    name,
    mustMatchWhenDerived,
    storage: () => {
      const handlers = new Map<unknown, unknown>()
      return { get: (key: unknown) => handlers.get(key) ?? null, set: (key: unknown, handler: unknown) => { handlers.set(key, handler) } }
    },
    validate: () => {},
    deriveConstraint: ({ headers }: { headers: Record<string, unknown> }) => headers[`x-${name}`]
  }
}

/** An asynchronous constraint strategy, which may fail. */
function byHeaderLater (name: string): object {
  const strategy = byHeader(name) as { deriveConstraint: (raw: object) => unknown }
  return {
    ...strategy,
    deriveConstraint: (raw: { headers: object }, _context: unknown, done: (error: Error | null, value?: unknown) => void) => {
      const value = strategy.deriveConstraint(raw)
      process.nextTick(done, value === 'fails' ? new Error('derived wrongly') : null, value)
    }
  }
}

function version (version: string, status = 200): Asked {
  return { url: '/own', headers: { 'accept-version': version }, status }
}

function byHost (host: string, status = 200): Asked {
  return { url: '/own', headers: { host }, status }
}

const constraints: Record<string, Contract> = {
  'by version': {
    program: scope => {
      for (const number of ['1.0.0', '1.2.0', '2.0.0']) scope.get('/own', { constraints: { version: number } }, async ({ routeOptions }) => [number, routeOptions.version])
    },
    ask: [version('1.0.0'), version('1.x'), version('2.x'), version('3.x', 404), { url: '/own', status: 404 }]
  },
  'by version, beside a route without': {
    program: scope => {
      scope.get('/own', async () => 'any')
      scope.get('/own', { constraints: { version: '1.0.0' } }, async () => 'one')
    },
    ask: [version('1.0.0'), version('2.0.0', 404), '/own']
  },
  'by host, also by pattern': {
    program: scope => {
      scope.get('/own', { constraints: { host: 'a.example' } }, async () => 'a')
      scope.get('/own', { constraints: { host: /^b\./ } }, async () => 'b')
    },
    ask: [byHost('a.example'), byHost('b.example'), byHost('c.example', 404)]
  },
  'by a strategy of the app': {
    options: { routerOptions: { constraints: { plan: byHeader('plan'), level: byHeader('level', true) } } } as FastifyServerOptions,
    program: (scope, note) => {
      note([scope.hasConstraintStrategy('plan'), scope.hasConstraintStrategy('version'), scope.hasConstraintStrategy('none')])
      scope.get('/own', { constraints: { plan: 'gold' } }, async () => 'gold')
      scope.get('/own', { constraints: { plan: 'gold', version: '1.0.0' } }, async () => 'gold one')
      scope.get('/level', { constraints: { level: '2' } }, async () => 'level')
    },
    ask: [
      { url: '/own', headers: { 'x-plan': 'gold' } }, { url: '/own', headers: { 'x-plan': 'gold', 'accept-version': '1.x' } }, { url: '/own', status: 404 },
      { url: '/level', headers: { 'x-level': '2' } }, { url: '/level', headers: { 'x-level': '3' }, status: 404 }
    ]
  },
  'by a strategy of the program': {
    program: (scope, note) => {
      note(scope.hasConstraintStrategy('plan'))
      scope.addConstraintStrategy(byHeader('plan') as never)
      note(scope.hasConstraintStrategy('plan'))
      scope.get('/own', { constraints: { plan: 'gold' } }, async () => 'gold')
      scope.get('/own', async () => 'any')
    },
    ask: [{ url: '/own', headers: { 'x-plan': 'gold' } }, '/own']
  },
  'by a strategy that answers later, or fails': {
    options: { routerOptions: { constraints: { plan: byHeaderLater('plan') } } } as FastifyServerOptions,
    program: scope => { scope.get('/own', { constraints: { plan: 'gold' } }, async () => 'gold') },
    // Fastify does not count a request whose constraint fails.
    ask: [{ url: '/own', headers: { 'x-plan': 'gold' } }, { url: '/own', status: 404 }, { url: '/own', headers: { 'x-plan': 'fails' }, status: 500 }]
  },
  'by one that fails, where the app answers for the framework': {
    options: {
      routerOptions: { constraints: { plan: byHeaderLater('plan') } },
      frameworkErrors: ({ code }, _request, reply) => { (reply as FastifyReply).code(400).send({ code }) }
    } as FastifyServerOptions,
    program: scope => { scope.get('/own', { constraints: { plan: 'gold' } }, async () => 'gold') },
    ask: [{ url: '/own', headers: { 'x-plan': 'fails' }, status: 400 }]
  },
  'a strategy that nobody has': {
    program: scope => { scope.get('/own', { constraints: { plan: 'gold' } }, async () => 'gold') },
    fails: 'No strategy registered for constraint key plan'
  }
}

/** Older versions of Fastify decode a URL only if the app has a route for the method. Then an undecodable URL is refused. */
function withRoute (app: FastifyInstance): void {
  app.get('/of/the/app', async () => 'app')
}

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE']

const routes: Record<string, Contract> = {
  'every method, by its shorthand': {
    program: scope => {
      for (const method of ['get', 'head', 'post', 'put', 'patch', 'delete', 'options', 'trace'] as const) scope[method](`/${method}`, async () => ({ method }))
      scope.all('/all', async ({ method }) => ({ method }))
    },
    ask: [...METHODS.flatMap(method => [{ url: `/${method.toLowerCase()}`, method }, { url: '/all', method }]), { url: '/get', method: 'POST', status: 404 }]
  },
  'prefixes, with and without a slash at the end': {
    program: async scope => {
      await scope.register(async child => {
        child.get('/', async () => 'both')
        child.get('/items', async ({ routeOptions }) => routeOptions.url)
        await child.register(async grandchild => {
          grandchild.get('/', { prefixTrailingSlash: 'slash' }, async () => 'slash')
          grandchild.put('/', { prefixTrailingSlash: 'no-slash' }, async () => 'no slash')
          grandchild.get('', { prefixTrailingSlash: 'no-slash' }, async () => 'none')
        }, { prefix: '/deep' })
      }, { prefix: '/a/:id' })
    },
    ask: ['/a/1', '/a/1/', '/a/1/items', '/a/1/deep', '/a/1/deep/', { url: '/a/1/deep', method: 'PUT' }, { url: '/a/1/deep/', method: 'PUT', status: 404 }]
  },
  'parameters, patterns and wildcards': {
    app: withRoute,
    program: scope => {
      const tell = async ({ params, query, routeOptions }: { params: unknown, query: unknown, routeOptions: { url?: string } }): Promise<unknown> => ({ url: routeOptions.url, params, query })
      for (const url of ['/one/:id', '/two/:id(^\\d+$)', '/three/:a-:b', '/four/*', '/five/:id?', '/six/:file.png', '/static', '/:any']) scope.get(url, tell)
    },
    ask: [
      '/one/a%20b', '/two/2', { url: '/two/x', status: 404 }, '/three/x-y', '/four/x/y?z=1', '/five', '/five/5', '/six/a.png', '/static', '/other',
      { url: '/one/%E0%A4%A', status: 400 }
    ]
  },
  'the same route twice': {
    program: scope => {
      scope.get('/own', async () => 'first')
      scope.get('/own', async () => 'second')
    },
    fails: 'FST_ERR_DUPLICATED_ROUTE'
  },
  'a route with all options': {
    program: (scope, note) => {
      const options: RouteOptions = {
        method: ['GET', 'POST'],
        url: '/own',
        config: { access: 'open' },
        preParsing: async () => note('preParsing'),
        preHandler: [async () => note('first'), async () => note('second')],
        onSend: async () => note('onSend'),
        onResponse: async () => note('onResponse'),
        handler: async function ({ routeOptions }) {
          return [this === scope, routeOptions.method, routeOptions.config.access]
        }
      }
      scope.route(options)
    },
    ask: ['/own', { url: '/own', method: 'POST' }]
  },
  'methods that were added': {
    app: app => { app.addHttpMethod('PROPFIND') },
    program: (scope, note) => {
      scope.addHttpMethod('MKCOL', { hasBody: true })
      note(scope.supportedMethods)
      scope.route({ method: 'PROPFIND', url: '/own', handler: async ({ method }) => method })
      scope.route({ method: 'MKCOL', url: '/own', handler: async ({ method, body }) => [method, body] })
    },
    ask: [{ url: '/own', method: 'PROPFIND' }, { url: '/own', method: 'MKCOL', headers: { 'content-type': 'application/json' }, body: '{"a":1}' }]
  },
  'a method that nobody added': {
    program: scope => { scope.route({ method: 'MKCOL', url: '/own', handler: async () => 'own' }) },
    fails: 'FST_ERR_ROUTE_METHOD_NOT_SUPPORTED'
  },
  'a URL that nobody can decode': {
    app: withRoute,
    program: scope => { scope.get('/own', async () => 'own') },
    ask: ['/own', { url: '/%zz', status: 400 }]
  }
}

for (const expose of [true, false]) {
  routes[`exposeHeadRoutes of the app: ${expose}`] = {
    options: { exposeHeadRoutes: expose },
    program: scope => {
      scope.get('/own', async () => 'own')
      scope.get('/yes', { exposeHeadRoute: true }, async () => 'yes')
      scope.get('/no', { exposeHeadRoute: false }, async () => 'no')
      scope.head('/mine', async (_request, reply) => { reply.header('x-mine', '1') })
      scope.get('/mine', async () => 'mine')
    },
    ask: [
      { url: '/own', method: 'HEAD', status: expose ? 200 : 404 }, { url: '/yes', method: 'HEAD' },
      { url: '/no', method: 'HEAD', status: 404 }, { url: '/mine', method: 'HEAD' }, '/mine'
    ]
  }
}

/** Returns what depends on the options of `Fastify()`. */
function telling (scope: FastifyInstance): void {
  scope.get('/Own/:id', async ({ ip, ips, host, protocol, url, originalUrl, params, query }) => ({ ip, ips, host: host.replace(/:\d+$/, ''), protocol, url, originalUrl, params, query }))
}

const FORWARDED = { 'x-forwarded-for': '10.0.0.1, 10.0.0.2', 'x-forwarded-host': 'proxied.example', 'x-forwarded-proto': 'https' }
const forwarded: Asked = { url: '/Own/1', headers: FORWARDED }
const long = 'x'.repeat(20)

const FRAMEWORK_ERRORS: FastifyServerOptions = {
  frameworkErrors: (error, _request, reply) => { (reply as FastifyReply).code(499).send(error.code) }
}

const options: Array<[what: string, options: object, ask: Array<string | Asked>]> = [
  ['no trustProxy', {}, [forwarded]],
  ['trustProxy: true', { trustProxy: true }, [forwarded]],
  ['trustProxy: an address', { trustProxy: '127.0.0.1' }, [forwarded]],
  ['trustProxy: another address', { trustProxy: '10.9.9.9' }, [forwarded]],
  ['trustProxy: a function', { trustProxy: (address: string) => address === '127.0.0.1' }, [forwarded]],
  ['caseSensitive', { routerOptions: { caseSensitive: false } }, ['/own/A', '/OWN/a']],
  ['ignoreTrailingSlash', { routerOptions: { ignoreTrailingSlash: true } }, ['/Own/1/', '/Own/1']],
  ['ignoreDuplicateSlashes', { routerOptions: { ignoreDuplicateSlashes: true } }, ['//Own//1', '/Own/1']],
  ['useSemicolonDelimiter', { routerOptions: { useSemicolonDelimiter: true } }, ['/Own/1;a=1', '/Own/1?a=1']],
  ['maxParamLength', { routerOptions: { maxParamLength: 10 } }, ['/Own/1', { url: `/Own/${long}`, status: 414 }]],
  ['querystringParser', { routerOptions: { querystringParser: (text: string) => ({ text }) } }, ['/Own/1?a=1&b=2']],
  ['rewriteUrl', { rewriteUrl: ({ url }: { url: string }) => url.replace('/old', '/Own') }, ['/old/1', '/Own/1']],
  ['frameworkErrors', FRAMEWORK_ERRORS, ['/Own/1', { url: '/%zz', status: 499 }]]
]
const ofServer: Record<string, Contract> = Object.fromEntries(options.map(([what, options, ask]) => [what, { options, app: withRoute, program: telling, ask }]))

const timeouts: Record<string, Contract> = {
  'request.signal': {
    program: (scope, note) => {
      scope.get('/own', async request => {
        const { signal } = request
        signal.addEventListener('abort', () => note('aborted'))
        note([signal.aborted, signal === request.signal])
        return { ok: true }
      })
      scope.get('/left', async request => {
        const { signal } = request
        request.raw.socket.destroy()
        while (!signal.aborted) await setImmediate()
        note(['aborted', String(signal.reason)])
      })
    },
    ask: ['/own', { url: '/left', status: null }],
    doors: ['socket']
  }
}
for (const of of ['app', 'route'] as const) {
  timeouts[`handlerTimeout of the ${of}`] = {
    options: of === 'app' ? { handlerTimeout: 10 } : {},
    app: (app, note) => {
      app.addHook('onTimeout', async () => note('onTimeout'))
      app.addHook('onError', async (_request, _reply, error) => note(error.code))
    },
    program: (scope, note) => {
      const own = of === 'route' ? { handlerTimeout: 10 } : {}
      scope.get('/slow', own, async ({ signal }) => {
        await new Promise<void>(resolve => signal.addEventListener('abort', () => resolve()))
        note(['aborted', String(signal.reason)])
      })
      scope.get('/fast', own, async ({ signal }) => ({ aborted: signal.aborted }))
    },
    ask: [{ url: '/slow', status: 503 }, '/fast']
  }
}

t.test('constraints', async t => hold(t, constraints))
t.test('routes', async t => hold(t, routes))
t.test('options of the server', async t => hold(t, ofServer))
t.test('timeouts and signals', async t => hold(t, timeouts))
