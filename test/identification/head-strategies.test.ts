import { type InjectOptions } from 'fastify'
import t from 'tap'
import { HeaderStrategy } from '../../lib/identification/strategies/header.ts'
import { QueryStrategy } from '../../lib/identification/strategies/query.ts'
import { SubdomainStrategy } from '../../lib/identification/strategies/subdomain.ts'
import { REFUSED, appWith, requestWith, seenBy, seenOverSocket } from '../fixtures/identification/app.ts'

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
