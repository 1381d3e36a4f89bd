import Fastify, { type FastifyInstance, type FastifyRequest, type FastifyServerOptions, type InjectOptions } from 'fastify'
import t, { type Test } from 'tap'
import { FST_TENANT_INVALID_ID } from '../lib/errors.ts'
import { chain, ChainStrategy } from '../lib/identification/chain.ts'
import { FunctionStrategy } from '../lib/identification/strategies/function.ts'
import { CookieStrategy } from '../lib/identification/strategies/cookie.ts'
import { HeaderStrategy } from '../lib/identification/strategies/header.ts'
import { HostStrategy } from '../lib/identification/strategies/host.ts'
import { JwtStrategy } from '../lib/identification/strategies/jwt.ts'
import { resolveStrategy, strategyByName } from '../lib/identification/identify.ts'
import { PathStrategy } from '../lib/identification/strategies/path.ts'
import { QueryStrategy } from '../lib/identification/strategies/query.ts'
import { TenantIdentificationStrategy } from '../lib/identification/strategy.ts'
import { SubdomainStrategy } from '../lib/identification/strategies/subdomain.ts'
import { originForm } from '../lib/identification/target.ts'
import { checkTenantId } from '../lib/utils/tenant-id.ts'
import { bodyOverSocket } from './fixtures/identification/asking.ts'
import type { IdentificationContext } from '../index.ts'

const REFUSED = 'FST_TENANT_INVALID_ID'

interface Seen {
  /** The id, the code of the error, or null if there is no id. */
  answer: string | null
  /** The URL that the tenant's routes would see; unchanged for a strategy that does not read it. */
  url: string
}

/** An app that answers every request with the strategy's result. */
function appWith (t: Test, strategy: TenantIdentificationStrategy, options: FastifyServerOptions = {}): FastifyInstance {
  const app = Fastify({ ...options, forceCloseConnections: true })
  app.addHook('onRequest', async (request, reply) => {
    const context = contextOf(app)
    const answer = await answerOf(strategy, request, context)
    const url = answer === null ? request.url : strategy.tenantUrl?.(request, answer, context) ?? request.url
    return reply.send({ answer, url } satisfies Seen)
  })
  t.teardown(() => app.close())
  return app
}

function contextOf (app: FastifyInstance): IdentificationContext {
  return { app, named: strategyByName(), resolveHost: undefined }
}

async function answerOf (strategy: TenantIdentificationStrategy, request: FastifyRequest, context: IdentificationContext): Promise<string | null> {
  try {
    return checkTenantId(await strategy.extractTenantId(request, context))
  } catch (error) {
    if (error instanceof FST_TENANT_INVALID_ID) return error.code
    throw error
  }
}

async function seenBy (app: FastifyInstance, request: InjectOptions): Promise<Seen> {
  const response = await app.inject({ url: '/', ...request })
  return response.json<Seen>()
}

/** Sends raw lines over a socket, which inject cannot. */
async function seenOverSocket (app: FastifyInstance, lines: string[]): Promise<Seen> {
  return JSON.parse(await bodyOverSocket(app, lines))
}

function mustNotBeAsked (): never {
  throw new Error('asked')
}

function requestWith (given: object): FastifyRequest {
  const parts = { headers: {}, ...given }
  return parts as FastifyRequest
}

t.test('header', async (t) => {
  t.test('returns the value, and refuses an invalid id', async (t) => {
    const app = appWith(t, new HeaderStrategy())
    const cases: Array<[headers: InjectOptions['headers'], answer: string | null]> = [
      [{ 'x-tenant-id': 'acme' }, 'acme'],
      [{ 'X-Tenant-ID': 'acme' }, 'acme'],
      [{}, null],
      [{ 'x-tenant': 'acme' }, null],
      [{ 'x-tenant-id': '' }, REFUSED],
      [{ 'x-tenant-id': 'acme, globex' }, REFUSED],
      [{ 'x-tenant-id': ['acme', 'acme'] }, REFUSED],
      [{ 'x-tenant-id': '__proto__' }, REFUSED],
      [{ 'x-tenant-id': '..' }, REFUSED],
      [{ 'x-tenant-id': '%2e%2e' }, REFUSED],
      [{ 'x-tenant-id': 'a'.repeat(300) }, REFUSED]
    ]
    for (const [headers, answer] of cases) t.equal((await seenBy(app, { headers })).answer, answer, JSON.stringify(headers).slice(0, 60))
  })

  t.test('refuses a repeated or empty header as Node parses it', async (t) => {
    const app = appWith(t, new HeaderStrategy())
    const cases: Array<[headers: string[], answer: string | null]> = [
      [['X-Tenant-Id: acme'], 'acme'],
      [['X-Tenant-Id:   acme  '], 'acme'],
      [['X-Tenant-Id: acme', 'x-tenant-id: globex'], REFUSED],
      [['X-Tenant-Id: acme', 'X-Tenant-Id: acme'], REFUSED],
      [['X-Tenant-Id: acme', 'X-Tenant-Id:'], REFUSED],
      [['X-Tenant-Id:'], REFUSED],
      [['X-Tenant-Id: \xe4cme'], REFUSED]
    ]
    for (const [headers, answer] of cases) {
      t.equal((await seenOverSocket(app, ['GET / HTTP/1.1', 'Host: a', ...headers])).answer, answer, headers.join(' | '))
    }
  })

  t.test('refuses a repeated header even if Node keeps only the first', async (t) => {
    const app = appWith(t, new HeaderStrategy({ header: 'from' }))
    t.equal((await seenOverSocket(app, ['GET / HTTP/1.1', 'Host: a', 'From: acme'])).answer, 'acme')
    t.equal((await seenOverSocket(app, ['GET / HTTP/1.1', 'Host: a', 'From: acme', 'FROM: globex'])).answer, REFUSED)
  })

  t.test('refuses a header that arrives as an array', async (t) => {
    const app = appWith(t, new HeaderStrategy({ header: 'set-cookie' }))
    t.equal((await seenOverSocket(app, ['GET / HTTP/1.1', 'Host: a', 'Set-Cookie: acme'])).answer, REFUSED)
  })

  t.test('reads nothing that the headers object inherits', async (t) => {
    for (const header of ['constructor', '__proto__', 'tostring']) {
      t.equal((await seenBy(appWith(t, new HeaderStrategy({ header })), {})).answer, null, header)
    }
  })

  t.test('refuses an invalid header name', async (t) => {
    for (const header of ['', 'X-Tenant-Id', 'x tenant', 'x-tenant:', 'ä', 7, null]) {
      // @ts-expect-error not all of them are strings
      t.throws(() => new HeaderStrategy({ header }), { code: 'FST_TENANT_OPTION_INVALID', message: /'header'/ }, String(header))
    }
  })
})

t.test('query', async (t) => {
  t.test('returns the parameter, and refuses an invalid id', async (t) => {
    const app = appWith(t, new QueryStrategy())
    const cases: Array<[url: string, answer: string | null]> = [
      ['/?tenant=acme', 'acme'],
      ['/unknown?a=1&tenant=acme', 'acme'],
      ['/?tenant=%61cme', 'acme'],
      ['/', null],
      ['/?', null],
      ['/?Tenant=acme', null],
      ['/?tenant[]=acme', null],
      ['/?tenant=', REFUSED],
      ['/?tenant', REFUSED],
      ['/?tenant=acme&tenant=globex', REFUSED],
      ['/?tenant=acme&tenant=acme', REFUSED],
      ['/?tenant=acme%00', REFUSED],
      ['/?tenant=..%2facme', REFUSED],
      ['/?tenant=__proto__', REFUSED]
    ]
    for (const [url, answer] of cases) t.equal((await seenBy(app, { url })).answer, answer, url)
  })

  t.test('reads only its own parameter, whatever the parser returns', async (t) => {
    const inherited = (): Record<string, unknown> => Object.create({ tenant: 'acme' })
    const cases: Array<[parsed: unknown, answer: string | null]> = [
      [inherited(), null],
      [undefined, null],
      [null, null],
      ['tenant=acme', null],
      [{ tenant: { a: 'acme' } }, REFUSED],
      [{ tenant: null }, REFUSED],
      [{ tenant: undefined }, REFUSED],
      [{ tenant: 7 }, REFUSED],
      [{ tenant: 'acme' }, 'acme']
    ]
    for (const [parsed, answer] of cases) {
      const app = appWith(t, new QueryStrategy(), { routerOptions: { querystringParser: () => parsed as Record<string, unknown> } })
      app.get('/', async () => null)
      t.equal((await seenBy(app, { url: '/?x' })).answer, answer, JSON.stringify(parsed))
    }
  })

  t.test('reads nothing that objects inherit', async (t) => {
    for (const parameter of ['__proto__', 'constructor']) {
      const app = appWith(t, new QueryStrategy({ parameter }))
      t.equal((await seenBy(app, { url: '/' })).answer, null, parameter)
      t.equal((await seenBy(app, { url: `/?${parameter}=acme` })).answer, 'acme', parameter)
    }
  })

  t.test('refuses an invalid parameter name', async (t) => {
    for (const parameter of ['', 7, null]) {
      // @ts-expect-error not all of them are strings
      t.throws(() => new QueryStrategy({ parameter }), { code: 'FST_TENANT_OPTION_INVALID', message: /'parameter'/ }, String(parameter))
    }
  })
})

t.test('subdomain', async (t) => {
  const hosts: Array<[host: string, answer: string | null]> = [
    ['acme.example.com', 'acme'],
    ['ACME.Example.com.:8080', 'acme'],
    ['xn--4ca.example.com', 'xn--4ca'],
    ['example.com', null],
    ['example.com.:80', null],
    ['www.example.com', null],
    ['WWW.example.com', null],
    ['acme.example.org', null],
    ['evilexample.com', null],
    ['acme.example.com.evil.org', null],
    ['com', null],
    ['127.0.0.1:3000', null],
    ['[::1]:3000', null],
    ['a.acme.example.com', REFUSED],
    ['www.acme.example.com', REFUSED],
    ['.example.com', REFUSED],
    ['../acme.example.com', REFUSED],
    ['acme.example.com@evil.com', REFUSED],
    ['acme.example.com, globex.example.com', REFUSED],
    ['__proto__.example.com', REFUSED],
    ['_acme.example.com', REFUSED],
    ['%61cme.example.com', REFUSED],
    ['acme..example.com', REFUSED],
    [`${'a'.repeat(64)}.example.com`, REFUSED],
    // What Node makes of `ª` in latin1, which IDNA would read as an `a`.
    ['\xaacme.example.com', REFUSED]
  ]

  t.test('returns the one label before the base domain', async (t) => {
    const app = appWith(t, new SubdomainStrategy({ baseDomain: 'Example.com' }))
    for (const [host, answer] of hosts) {
      t.equal((await seenOverSocket(app, ['GET / HTTP/1.1', `Host: ${host}`])).answer, answer, host)
    }
  })

  t.test('ignores hosts outside of the Host header', async (t) => {
    const app = appWith(t, new SubdomainStrategy({ baseDomain: 'example.com' }))
    const lines = ['Host: acme.example.com', 'X-Forwarded-Host: globex.example.com', 'Forwarded: host=globex.example.com', 'X-Host: globex.example.com']
    t.equal((await seenOverSocket(app, ['GET / HTTP/1.1', ...lines])).answer, 'acme')
    t.equal((await seenOverSocket(app, ['GET http://globex.example.com/ HTTP/1.1', ...lines])).answer, 'acme')
  })

  t.test('takes the forwarded host of a trusted proxy from Fastify', async (t) => {
    const lines = ['GET / HTTP/1.1', 'Host: acme.example.com', 'X-Forwarded-Host: globex.example.com']
    const trusting = appWith(t, new SubdomainStrategy({ baseDomain: 'example.com' }), { trustProxy: '127.0.0.1' })
    t.equal((await seenOverSocket(trusting, lines)).answer, 'globex')
    const wary = appWith(t, new SubdomainStrategy({ baseDomain: 'example.com' }), { trustProxy: '10.0.0.1' })
    t.equal((await seenOverSocket(wary, lines)).answer, 'acme')
  })

  t.test('finds no id without a host, and refuses two hosts', async (t) => {
    const app = appWith(t, new SubdomainStrategy({ baseDomain: 'example.com' }))
    t.equal((await seenOverSocket(app, ['GET / HTTP/1.0'])).answer, null)
    t.equal((await seenOverSocket(app, ['GET / HTTP/1.1', 'Host:'])).answer, null)
    t.equal((await seenOverSocket(app, ['GET / HTTP/1.1', 'Host: acme.example.com', 'Host: globex.example.com'])).answer, REFUSED)
    t.equal((await seenOverSocket(app, ['GET / HTTP/1.1', 'Host: acme.example.com', 'host: acme.example.com'])).answer, REFUSED)
  })

  t.test('refuses several labels', async (t) => {
    const strategy = new SubdomainStrategy({ baseDomain: 'example.com' })
    const request = requestWith({ host: 'a.acme.example.com', raw: { rawHeaders: ['Host', 'a.acme.example.com'] } })
    t.throws(() => strategy.extractTenantId(request), { code: REFUSED, statusCode: 400 })
  })

  t.test('with `levels` takes the label next to the base domain', async (t) => {
    const app = appWith(t, new SubdomainStrategy({ baseDomain: 'example.com', levels: 2 }))
    const cases: Array<[host: string, answer: string | null]> = [
      ['api.acme.example.com', 'acme'], ['acme.example.com', 'acme'], ['www.acme.example.com', 'acme'], ['acme.www.example.com', null],
      ['www.example.com', null], ['a.b.acme.example.com', REFUSED], ['.acme.example.com', REFUSED], ['example.com', null]
    ]
    for (const [host, answer] of cases) t.equal((await seenBy(app, { headers: { host } })).answer, answer, host)
    for (const levels of [0, -1, 1.5, '2', null]) {
      const options = { baseDomain: 'example.com', levels }
      // @ts-expect-error not all of them are numbers
      const strategy = (): SubdomainStrategy => new SubdomainStrategy(options)
      if (levels === null) t.doesNotThrow(strategy, 'null is none')
      else t.throws(strategy, { code: 'FST_TENANT_OPTION_INVALID', message: /'levels'/ }, String(levels))
    }
  })

  t.test('reserved labels replace www', async (t) => {
    const app = appWith(t, new SubdomainStrategy({ baseDomain: 'localhost:3000', reserved: ['API', 'admin'] }))
    const cases: Array<[host: string, answer: string | null]> = [
      ['api.localhost', null], ['admin.localhost:3000', null], ['www.localhost', 'www'], ['acme.localhost:3000', 'acme']
    ]
    for (const [host, answer] of cases) t.equal((await seenBy(app, { headers: { host } })).answer, answer, host)
  })

  t.test('refuses an invalid base domain', async (t) => {
    for (const baseDomain of [undefined, null, '', 7, '.example.com', '*.example.com', 'http://example.com', '[::1]', '127.0.0.1', '0.0.1', '1', '0x1', 'a.0xf']) {
      const expected = { code: 'FST_TENANT_OPTION_INVALID', message: 'The option \'baseDomain\' must be a domain name, e.g. "example.com"' }
      // @ts-expect-error not all of them are strings
      t.throws(() => new SubdomainStrategy({ baseDomain }), expected, String(baseDomain))
    }
    // @ts-expect-error the options are not optional
    t.throws(() => new SubdomainStrategy(), { code: 'FST_TENANT_OPTION_INVALID' })
  })

  t.test('refuses invalid reserved labels', async (t) => {
    for (const reserved of ['www', [''], [7], {}]) {
      // @ts-expect-error none of them is an array of strings
      t.throws(() => new SubdomainStrategy({ baseDomain: 'example.com', reserved }), { code: 'FST_TENANT_OPTION_INVALID', message: /'reserved'/ })
    }
  })
})

t.test('path', async (t) => {
  /** With routes of the app whose handlers are never reached, because the hook answers. */
  function pathApp (t: Test, prefix?: string, routes: string[] = []): FastifyInstance {
    const app = appWith(t, new PathStrategy({ ...(prefix !== undefined && { prefix }) }))
    for (const route of routes) app.get(route, async () => null)
    return app
  }

  t.test('returns the first segment and removes it from the URL', async (t) => {
    const app = pathApp(t)
    const cases: Array<[url: string, answer: string | null, tenantUrl: string]> = [
      ['/acme/users?x=1', 'acme', '/users?x=1'],
      ['/acme/users/', 'acme', '/users/'],
      ['/acme/acme', 'acme', '/acme'],
      ['/acme', 'acme', '/'],
      ['/acme/', 'acme', '/'],
      ['/acme?x=/globex', 'acme', '/?x=/globex'],
      ['/acme/a%2fb', 'acme', '/a%2fb'],
      ['/acme/../globex', 'acme', '/../globex'],
      ['/Acme/x', 'Acme', '/x'],
      ['/', null, '/'],
      ['/?tenant=acme', null, '/?tenant=acme'],
      ['/favicon.ico', null, '/favicon.ico'],
      ['/.well-known/x', null, '/.well-known/x'],
      ['/__proto__/x', null, '/__proto__/x'],
      ['/acme;x=1/users', null, '/acme;x=1/users'],
      [`/${'a'.repeat(64)}/x`, null, `/${'a'.repeat(64)}/x`],
      ['/..', REFUSED, '/..'],
      ['/./acme', REFUSED, '/./acme'],
      ['/../acme', REFUSED, '/../acme'],
      ['/..?x', REFUSED, '/..?x'],
      ['/%2e%2e/acme', REFUSED, '/%2e%2e/acme'],
      ['/%61cme/x', REFUSED, '/%61cme/x'],
      ['/acme%2fx', REFUSED, '/acme%2fx'],
      ['/acme%00/x', REFUSED, '/acme%00/x']
    ]
    for (const [url, answer, tenantUrl] of cases) {
      t.same(await seenOverSocket(app, [`GET ${url} HTTP/1.1`, 'Host: a']), { answer, url: tenantUrl }, url.slice(0, 60))
    }
  })

  t.test('handles request targets that only a socket can send', async (t) => {
    const app = pathApp(t)
    const cases: Array<[target: string, answer: string | null, tenantUrl: string]> = [
      ['GET //acme/x', null, '//acme/x'],
      ['GET /acme//evil.com/x', 'acme', '//evil.com/x'],
      ['GET /acme#x', 'acme', '/#x'],
      ['GET /\\..\\acme', null, '/\\..\\acme'],
      ['GET http://evil.com/acme/users?x=1', 'acme', '/users?x=1'],
      ['GET HTTPS://evil.com:8080/acme', 'acme', '/'],
      ['GET http://acme/users', 'users', '/'],
      ['GET http://evil.com/', null, 'http://evil.com/'],
      ['GET http://evil.com', null, 'http://evil.com'],
      ['GET http://evil.com?x=/acme/y', null, 'http://evil.com?x=/acme/y'],
      ['GET http://evil.com/../acme/x', REFUSED, 'http://evil.com/../acme/x'],
      ['GET ftp://evil.com/acme/x', REFUSED, 'ftp://evil.com/acme/x'],
      ['OPTIONS *', null, '*']
    ]
    for (const [target, answer, tenantUrl] of cases) {
      t.same(await seenOverSocket(app, [`${target} HTTP/1.1`, 'Host: a']), { answer, url: tenantUrl }, target)
    }
  })

  t.test("leaves the app's own routes alone", async (t) => {
    const app = pathApp(t, undefined, ['/health', '/users/:id', '/static/*', '/pages/:page/*', '/'])
    for (const url of ['/health', '/health?x=1', '/users/7', '/static/app.js', '/static/', '/pages/a/b', '/']) {
      t.same(await seenBy(app, { url }), { answer: null, url }, url)
    }
    t.same(await seenBy(app, { url: '/users/7/posts' }), { answer: 'users', url: '/7/posts' }, 'a longer path is not that route')
    t.same(await seenBy(app, { url: '/acme/users' }), { answer: 'acme', url: '/users' })
  })

  t.test('finds an id if only a wildcard of the app matches', async (t) => {
    for (const wildcard of ['/*', '*']) {
      const app = pathApp(t, undefined, [wildcard, '/health'])
      t.same(await seenBy(app, { url: '/acme/users' }), { answer: 'acme', url: '/users' }, wildcard)
      t.same(await seenBy(app, { url: '/health' }), { answer: null, url: '/health' }, wildcard)
    }
  })

  t.test('keeps the prefix, which matches whole segments', async (t) => {
    for (const prefix of ['/api', '/api/']) {
      const app = pathApp(t, prefix, ['/api/*', '/api/health'])
      const cases: Array<[url: string, answer: string | null, tenantUrl: string]> = [
        ['/api/acme/users', 'acme', '/api/users'],
        ['/api/acme?x', 'acme', '/api/?x'],
        ['/api/acme', 'acme', '/api/'],
        ['/api/health', null, '/api/health'],
        ['/api', null, '/api'],
        ['/api/', null, '/api/'],
        ['/apiacme/users', null, '/apiacme/users'],
        ['/acme/users', null, '/acme/users'],
        ['/API/acme', null, '/API/acme'],
        ['/api/%61cme', REFUSED, '/api/%61cme']
      ]
      for (const [url, answer, tenantUrl] of cases) t.same(await seenBy(app, { url }), { answer, url: tenantUrl }, `${prefix} ${url}`)
    }
  })

  t.test('removes only the segment of the tenant that was found', async (t) => {
    const strategy = new PathStrategy()
    const request = requestWith({ url: '/acme/users', is404: true })
    t.equal(strategy.tenantUrl(request, 'acme'), '/users')
    for (const id of ['globex', 'acm', 'acme2', 'users']) t.equal(strategy.tenantUrl(request, id), '/acme/users', id)
    t.equal(strategy.tenantUrl(requestWith({ url: '*', is404: true }), 'acme'), '*')
    t.equal(strategy.tenantUrl(requestWith({ url: '/acme', is404: false, routeOptions: { url: '/acme' } }), 'acme'), '/acme')
    t.equal(strategy.tenantUrl(requestWith({ url: '/acme', is404: false, routeOptions: {} }), 'acme'), '/acme')
  })

  t.test('refuses an invalid prefix', async (t) => {
    for (const prefix of ['api', '/:org', '/a*', '/a//b', '//', '/a?b', '/a#b', '/%61', 7, null]) {
      // @ts-expect-error not all of them are strings
      t.throws(() => new PathStrategy({ prefix }), { code: 'FST_TENANT_OPTION_INVALID', message: /'prefix'/ }, String(prefix))
    }
    t.doesNotThrow(() => new PathStrategy({ prefix: '/' }))
  })

  t.test('a request target in origin form is the path that the router sees', async (t) => {
    const cases: Array<[target: string, path: string | null]> = [
      ['/x?y', '/x?y'], ['//x', '//x'], ['http://a/x?y#z', null], ['http://a#/x', null], ['http://a/x?y', '/x?y'], ['http://a', '/'], ['http://a?/x', '/?/x'],
      ['http:///x', null], ['http://a b/x', null], ['http://a:99999/x', null], ['http:/x', null], ['*', null], ['', null], ['x', null], ['a.com:80', null]
    ]
    for (const [target, path] of cases) t.equal(originForm(target), path, target)
  })
})

t.test('function', async (t) => {
  const cases: Array<[identify: () => never, answer: string | null]> = [
    [() => 'acme' as never, 'acme'],
    [() => null as never, null],
    [() => undefined as never, null],
    [() => '' as never, REFUSED],
    [() => 7 as never, REFUSED],
    [() => ({}) as never, REFUSED],
    [() => Promise.resolve('acme') as never, 'acme'],
    [() => Promise.resolve(['acme']) as never, REFUSED]
  ]
  for (const [identify, answer] of cases) {
    t.equal((await seenBy(appWith(t, new FunctionStrategy(identify)), {})).answer, answer, identify.toString())
  }
})

t.test('chain', async (t) => {
  const request = requestWith({ url: '/acme/users', is404: true })
  const context = contextOf(Fastify())

  t.test('the first id found wins, at once or asynchronously', async (t) => {
    const cases: Array<[strategies: Array<() => string | null | undefined | Promise<string | null | undefined>>, answer: string | undefined]> = [
      [[() => 'acme', mustNotBeAsked], 'acme'],
      [[() => undefined, () => null, () => 'acme', mustNotBeAsked], 'acme'],
      [[async () => 'acme', mustNotBeAsked], 'acme'],
      [[async () => null, () => undefined, async () => undefined, () => 'acme', mustNotBeAsked], 'acme'],
      [[() => '', mustNotBeAsked], ''],
      [[async () => '', mustNotBeAsked], ''],
      [[() => null, async () => null], undefined],
      [[() => null], undefined]
    ]
    for (const [at, [strategies, answer]] of cases.entries()) {
      t.equal(await chain(strategies).extractTenantId(request, context), answer, `case ${at}`)
    }
  })

  t.test('makes no promise unless a member returns one', async (t) => {
    t.equal(chain([() => null, () => 'acme', async () => 'globex']).extractTenantId(request, context), 'acme')
    t.equal(chain([() => null, () => undefined]).extractTenantId(request, context), undefined)
    t.type(chain([async () => null, () => 'acme']).extractTenantId(request, context), Promise)
  })

  t.test('throws the error of a member, and asks no further member', async (t) => {
    const broken = new Error('the database is down')
    let asked = 0
    const next = (): string => {
      asked++
      return 'globex'
    }
    t.throws(() => chain([() => { throw broken }, next]).extractTenantId(request, context), broken)
    await t.rejects(async () => chain([async () => { throw broken }, next]).extractTenantId(request, context), broken)
    await t.rejects(async () => chain([async () => null, () => { throw broken }, next]).extractTenantId(request, context), broken)
    t.equal(asked, 0)
  })

  t.test('refuses an invalid id of a member, and asks no further member', async (t) => {
    const app = appWith(t, chain([new HeaderStrategy(), new QueryStrategy()]))
    const cases: Array<[request: InjectOptions, answer: string | null]> = [
      [{ url: '/?tenant=globex' }, 'globex'],
      [{ url: '/?tenant=globex', headers: { 'x-tenant-id': 'acme' } }, 'acme'],
      [{ url: '/?tenant=globex', headers: { 'x-tenant-id': '' } }, REFUSED],
      [{ url: '/?tenant=globex', headers: { 'x-tenant-id': '../acme' } }, REFUSED],
      [{ url: '/' }, null]
    ]
    for (const [request, answer] of cases) t.equal((await seenBy(app, request)).answer, answer, JSON.stringify(request))
  })

  t.test('the first member that changes the URL decides what routes see', async (t) => {
    const rewriting = Object.assign(new FunctionStrategy(() => null), { tenantUrl: () => '/rewritten' })
    t.equal(chain([new HeaderStrategy(), new PathStrategy(), rewriting]).tenantUrl(request, 'acme', context), '/users')
    t.equal(chain([new HeaderStrategy(), new PathStrategy(), rewriting]).tenantUrl(request, 'globex', context), '/rewritten')
    t.equal(chain([new HeaderStrategy(), new PathStrategy()]).tenantUrl(request, 'globex', context), '/acme/users')
  })

  t.test('refuses an invalid strategy, and an empty list', async (t) => {
    // @ts-expect-error not all of them are arrays
    for (const members of [[], undefined, 'header']) t.throws(() => chain(members), { code: 'FST_TENANT_OPTION_INVALID' })
    // @ts-expect-error there is no such name
    t.throws(() => chain(['heeder']), { code: 'FST_TENANT_OPTION_INVALID' })
  })

  t.test("members may be given by name, and read the plugin's options", async (t) => {
    const context = { ...contextOf(Fastify()), named: strategyByName({ baseDomain: 'example.com', prefix: '/api' }) }
    const strategy = chain(['subdomain', chain(['path'])])
    const at = (host: string, url: string): FastifyRequest => requestWith({ host, url, is404: true, raw: { rawHeaders: [] } })
    t.equal(strategy.extractTenantId(at('acme.example.com', '/api/globex/x'), context), 'acme')
    t.equal(strategy.extractTenantId(at('example.com', '/api/globex/x'), context), 'globex')
    t.equal(strategy.tenantUrl(at('example.com', '/api/globex/x'), 'globex', context), '/api/x')
    t.equal(context.named('path'), context.named('path'), 'each is made once')
    t.throws(() => strategy.check(contextOf(Fastify())), { code: 'FST_TENANT_OPTION_INVALID', message: /'baseDomain'/ })
    t.doesNotThrow(() => strategy.check(context))
  })
})

t.test('the identify option', async (t) => {
  t.test('takes names, functions, strategies and arrays', async (t) => {
    const own = { extractTenantId: () => 'acme' }
    const inheriting = new (class extends HeaderStrategy {})()
    t.type(resolveStrategy('header'), HeaderStrategy)
    t.type(resolveStrategy('query', {}), QueryStrategy)
    t.type(resolveStrategy('host'), HostStrategy)
    t.type(resolveStrategy('cookie'), CookieStrategy)
    t.type(resolveStrategy('jwt'), JwtStrategy)
    t.type(resolveStrategy('path', { baseDomain: undefined, prefix: undefined }), PathStrategy)
    t.type(resolveStrategy('subdomain', { baseDomain: 'example.com' }), SubdomainStrategy)
    t.type(resolveStrategy(() => 'acme'), FunctionStrategy)
    t.type(resolveStrategy(['header', () => 'acme', own]), ChainStrategy)
    t.equal(resolveStrategy(own), own)
    t.equal(resolveStrategy(inheriting), inheriting)
  })

  t.test('passes baseDomain and prefix to the strategies, in arrays too', async (t) => {
    const app = appWith(t, resolveStrategy(['subdomain', 'path', 'query'], { baseDomain: 'example.com', prefix: '/api' }))
    t.equal((await seenBy(app, { url: '/api/globex/x', headers: { host: 'acme.example.com' } })).answer, 'acme')
    t.same(await seenBy(app, { url: '/api/globex/x', headers: { host: 'example.com' } }), { answer: 'globex', url: '/api/x' })
    t.equal((await seenBy(app, { url: '/other/x?tenant=initech', headers: { host: 'example.com' } })).answer, 'initech')
  })

  t.test('refuses an invalid strategy', async (t) => {
    class Forgetful {}
    const names = /'identify' must be "header", "subdomain", "host", "path", "query", "cookie", "jwt", a strategy, a function, or a non-empty array/
    const cases: Array<[identify: unknown, message: RegExp]> = [
      [undefined, names], [null, names], ['', names], ['cookies', names], ['constructor', names], ['__proto__', names], [7, names], [['header', null], names],
      [[], /'identify' must be a non-empty array/],
      [[['header']], /Array has no method extractTenantId/],
      [{}, /Object has no method extractTenantId/],
      [Object.create(null), /Object has no method extractTenantId/],
      [{ extractTenantId: 'acme' }, /Object has no method extractTenantId/],
      [new Forgetful(), /'identify' must be a strategy: Forgetful has no method extractTenantId/],
      [HeaderStrategy, /'identify' must be an instance: new HeaderStrategy\(…\), not the class/]
    ]
    for (const [identify, message] of cases) {
      // @ts-expect-error none of them is what the option takes
      t.throws(() => resolveStrategy(identify), { code: 'FST_TENANT_OPTION_INVALID', message })
    }
  })

  t.test('refuses a base domain that is missing, invalid or unused', async (t) => {
    const expected = { code: 'FST_TENANT_OPTION_INVALID', message: /'baseDomain'/ }
    t.throws(() => resolveStrategy('subdomain'), expected)
    t.throws(() => resolveStrategy(['header', 'subdomain'], {}), expected)
    t.throws(() => resolveStrategy('subdomain', { baseDomain: '127.0.0.1' }), expected)
    t.throws(() => resolveStrategy('header', { baseDomain: 'example.com' }), expected)
    t.throws(() => resolveStrategy(['header', 'path'], { baseDomain: 'example.com' }), expected)
    t.throws(() => resolveStrategy(new SubdomainStrategy({ baseDomain: 'a.com' }), { baseDomain: 'example.com' }), expected)
    t.throws(() => resolveStrategy(chain(['header', chain(['query'])]), { baseDomain: 'example.com' }), expected)
    t.doesNotThrow(() => resolveStrategy(chain(['header', chain(['subdomain'])]), { baseDomain: 'example.com' }))
  })
})
