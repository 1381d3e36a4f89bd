import { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { FunctionStrategy } from '../../lib/identification/strategies/function.ts'
import { PathStrategy } from '../../lib/identification/strategies/path.ts'
import { originForm } from '../../lib/identification/origin-form.ts'
import { REFUSED, appWith, requestWith, seenBy, seenOverSocket } from '../fixtures/identification/app.ts'

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
