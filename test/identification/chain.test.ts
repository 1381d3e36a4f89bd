import Fastify, { type FastifyRequest, type InjectOptions } from 'fastify'
import t from 'tap'
import { chain, ChainStrategy } from '../../lib/identification/chain.ts'
import { FunctionStrategy } from '../../lib/identification/strategies/function.ts'
import { CookieStrategy } from '../../lib/identification/strategies/cookie.ts'
import { HeaderStrategy } from '../../lib/identification/strategies/header.ts'
import { HostStrategy } from '../../lib/identification/strategies/host.ts'
import { JwtStrategy } from '../../lib/identification/strategies/jwt.ts'
import { resolveStrategy, strategyByName } from '../../lib/identification/resolve-strategy.ts'
import { PathStrategy } from '../../lib/identification/strategies/path.ts'
import { QueryStrategy } from '../../lib/identification/strategies/query.ts'
import { SubdomainStrategy } from '../../lib/identification/strategies/subdomain.ts'
import { REFUSED, appWith, contextOf, requestWith, seenBy } from '../fixtures/identification/app.ts'

function mustNotBeAsked (): never {
  throw new Error('asked')
}

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
