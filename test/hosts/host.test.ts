import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { hostPatterns } from '../../index.ts'
import { combinedSource } from '../../lib/sources/combined.ts'
import { directorySource } from '../../lib/sources/directory.ts'
import { objectSource } from '../../lib/sources/object.ts'
import { appWith, ask, askOverSocket, pair } from '../fixtures/identification/asking.ts'
import type { TenantSource } from '../../index.ts'

const INVALID = 'FST_TENANT_INVALID_ID'

const FAILED = 'FST_TENANT_IDENTIFICATION_FAILED'

const HOSTS_INVALID = { code: 'FST_TENANT_HOSTS_INVALID' }

const tenants = {
  acme: { ...pair.acme, hosts: ['acme.example', '*.acme.example', 'Bücher.example:8080', '[2001:DB8::A]'] },
  globex: { ...pair.globex, hosts: ['shop.acme.example', '*.eu.acme.example', '*.globex.example', '127.0.0.1'] }
}

t.test('the exact host wins, then the longest wildcard', async t => {
  const app = appWith(t, { tenants, identify: 'host', required: true })
  const hosts: Array<[host: string, answer: string]> = [
    ['acme.example', 'acme'],
    ['ACME.Example.:8080', 'acme'],
    ['www.acme.example', 'acme'],
    ['a.b.acme.example', 'acme'],
    ['shop.acme.example', 'globex'],
    ['x.shop.acme.example', 'acme'],
    ['eu.acme.example', 'acme'],
    ['x.eu.acme.example', 'globex'],
    ['x.globex.example:443', 'globex'],
    ['xn--bcher-kva.example', 'acme'],
    ['[2001:db8:0:0:0:0:0:a]:80', 'acme'],
    ['127.0.0.1:3000', 'globex'],
    ['globex.example', 'FST_TENANT_REQUIRED'],
    ['example', 'FST_TENANT_REQUIRED'],
    ['notacme.example', 'FST_TENANT_REQUIRED'],
    ['acme.example.evil.org', 'FST_TENANT_REQUIRED'],
    ['__proto__.example', 'FST_TENANT_REQUIRED'],
    ['constructor', 'FST_TENANT_REQUIRED'],
    ['127.0.0.2', 'FST_TENANT_REQUIRED'],
    ['[::1]', 'FST_TENANT_REQUIRED'],
    ['*.acme.example', INVALID],
    ['../acme.example', INVALID],
    ['acme.example@evil.org', INVALID],
    ['acme.example, globex.example', INVALID],
    ['acme..example', INVALID],
    ['.acme.example', INVALID],
    ['%61cme.example', INVALID],
    ['%2e%2e', INVALID],
    [`${'a'.repeat(300)}.acme.example`, INVALID],
    // What Node makes of `ª` in latin1, which IDNA would read as an `a`.
    ['\xaacme.example', INVALID]
  ]
  for (const [host, answer] of hosts) t.equal(await askOverSocket(app, ['GET /who HTTP/1.1', `Host: ${host}`]), answer, host.slice(0, 60))
})

t.test('other headers with a host, or instead of the Host header, are ignored', async t => {
  const cases: Array<[lines: string[], answer: string]> = [
    [['GET /who HTTP/1.1', 'Host: acme.example', 'X-Forwarded-Host: x.globex.example', 'Forwarded: host=x.globex.example', 'X-Host: x.globex.example'], 'acme'],
    [['GET http://x.globex.example/who HTTP/1.1', 'Host: acme.example'], 'acme'],
    [['GET /who HTTP/1.0'], 'FST_TENANT_REQUIRED'],
    [['GET /who HTTP/1.1', 'Host:'], 'FST_TENANT_REQUIRED'],
    [['GET /who HTTP/1.1', 'Host: acme.example', 'Host: x.globex.example'], INVALID],
    [['GET /who HTTP/1.1', 'Host: acme.example', 'host: acme.example'], INVALID]
  ]
  const app = appWith(t, { tenants, identify: 'host', required: true })
  for (const [lines, answer] of cases) t.equal(await askOverSocket(app, lines), answer, lines.join(' | '))
  for (const [trustProxy, answer] of [['127.0.0.1', 'globex'], ['10.0.0.1', 'acme']] as const) {
    const proxied = appWith(t, { tenants, identify: 'host' }, undefined, { trustProxy })
    t.equal(await askOverSocket(proxied, ['GET /who HTTP/1.1', 'Host: acme.example', 'X-Forwarded-Host: x.globex.example']), answer, `trusts ${trustProxy}`)
  }
})

t.test('the patterns that match a host, the most specific first', async t => {
  t.same(hostPatterns('a.b.example'), ['a.b.example', '*.b.example', '*.example'])
  t.same(hostPatterns('localhost'), ['localhost'])
  t.same(hostPatterns('[::1]'), ['[::1]'])
})

t.test('hosts given in code', async t => {
  t.test('are refused if one is invalid, or if two tenants have it', async t => {
    for (const host of ['', '*', '*.', '**.acme.example', 'a.*.example', '*.0.0.1', '*.[::1]', 'http://acme.example', 'acme example']) {
      t.throws(() => objectSource({ acme: { hosts: [host] } }), { ...HOSTS_INVALID, message: `The hosts of the tenants are not valid: '${host}' of tenant 'acme' is not a host` })
    }
    t.throws(() => objectSource({ acme: { hosts: ['ACME.example.'] }, globex: { hosts: ['acme.example:80'] } }), { ...HOSTS_INVALID, message: /'acme\.example' belongs to tenants 'acme' and 'globex'$/ })
    t.doesNotThrow(() => objectSource({ acme: { hosts: ['acme.example', 'ACME.example'] } }))
  })
})

t.test('hosts of folders', async t => {
  const dirWith = (t: Test, hosts: unknown): string => t.testdir({ acme: {}, globex: {}, 'hosts.json': JSON.stringify(hosts) })

  t.test('are in one file beside them, which is read again after a change', async t => {
    const dir = dirWith(t, { acme: ['acme.example', '*.acme.example'] })
    const source = directorySource(dir)
    t.equal(await source.resolveHost('x.acme.example'), 'acme')
    t.equal(await source.resolveHost('globex.example'), null)
    await writeFile(join(dir, 'new'), JSON.stringify({ acme: ['acme.example'], globex: ['globex.example'] }))
    await rename(join(dir, 'new'), join(dir, 'hosts.json'))
    t.equal(await source.resolveHost('globex.example'), 'globex')
    t.equal(await source.resolveHost('x.acme.example'), null)
    await rm(join(dir, 'hosts.json'))
    t.equal(await source.resolveHost('acme.example'), null, 'without the file no host is anybody\'s')
  })

  t.test('are a 503, and not an unknown tenant, if the file is invalid or the folder is gone', async t => {
    const wrong: Array<[content: string, message: RegExp]> = [
      ['{', /hosts\.json is not valid JSON$/], ['', /is not valid JSON$/], ['[]', /must hold an object/], ['null', /must hold an object/], ['"x"', /must hold an object/],
      ['{ "acme": "acme.example" }', /the hosts of 'acme' in .* must be an array of hosts/], ['{ "acme": [1] }', /must be an array of hosts/],
      ['{ "../acme": [] }', /'\.\.\/acme' in .* is not a tenant id/], ['{ "acme": ["/"] }', /'\/' of tenant 'acme' is not a host/],
      ['{ "acme": ["x.example"], "globex": ["X.example"] }', /'x\.example' belongs to tenants 'acme' and 'globex'/]
    ]
    const dir = dirWith(t, {})
    for (const [content, message] of wrong) {
      await writeFile(join(dir, 'hosts.json'), content)
      await t.rejects(directorySource(dir).resolveHost('x.example'), { ...HOSTS_INVALID, message }, content)
    }
    const app = appWith(t, { tenants: dir, identify: 'host', defaultTenant: 'acme' })
    t.equal(await ask(app, { url: '/shared', headers: { host: 'x.example' } }), FAILED)
    await rm(join(dir, 'hosts.json'))
    await mkdir(join(dir, 'hosts.json'))
    await t.rejects(directorySource(dir).resolveHost('x.example'), { code: 'EISDIR' })
    await rm(dir, { recursive: true })
    await t.rejects(directorySource(dir).resolveHost('x.example'), { code: 'ENOENT' })
  })

  t.test('are found without a restart, and none of them is read at boot', async t => {
    const dir = dirWith(t, 'not read')
    const app = appWith(t, { tenants: dir, identify: 'host' })
    await app.ready()
    await writeFile(join(dir, 'hosts.json'), JSON.stringify({ acme: ['acme.example'], initech: ['initech.example'] }))
    t.equal(await ask(app, { url: '/shared', headers: { host: 'acme.example' } }), 'shared by acme')
    t.equal(await ask(app, { url: '/shared', headers: { host: 'initech.example' } }), 'FST_TENANT_NOT_FOUND', 'a host of a tenant that is not there')
    await mkdir(join(dir, 'hooli'))
  })
})

t.test('hosts of several sources', async t => {
  const source = combinedSource([
    objectSource({ acme: { hosts: ['first.example'] } }),
    { get: () => null, async * list () { yield * [] } },
    objectSource({ acme: { hosts: ['second.example'] }, globex: { hosts: ['first.example', 'globex.example'] } })
  ])
  t.equal(await source.resolveHost?.('first.example'), 'acme')
  t.equal(await source.resolveHost?.('globex.example'), 'globex')
  t.equal(await source.resolveHost?.('second.example'), null, 'it is of another acme, which the first hides')
  t.equal(await source.resolveHost?.('hooli.example'), null)
})

t.test('a source without hosts is refused at boot', async t => {
  const bare: TenantSource = { get: () => null, async * list () { yield * [] } }
  for (const given of [bare, [bare, bare]]) {
    await t.rejects(async () => appWith(t, { tenants: given, identify: 'host' }).ready(), { code: 'FST_TENANT_OPTION_INVALID', message: /"host" unless the source of tenants has a method resolveHost/ })
  }
  await t.resolves(async () => appWith(t, { tenants: [bare, tenants], identify: 'host' }).ready())
})

t.test('a source of the user', async t => {
  t.test('is called as a method, and may answer at once, later, or with nothing', async t => {
    class Own implements TenantSource {
      readonly hosts = new Map([['acme.example', 'acme']])
      get (id: string): { id: string } { return { id } }
      async * list (): AsyncIterable<string> { yield * this.hosts.values() }
      resolveHost (host: string): string | null { return host === 'none.example' ? undefined as never : this.hosts.get(host) ?? null }
    }
    const app = appWith(t, { tenants: new Own(), identify: 'host' })
    t.equal(await ask(app, { url: '/shared', headers: { host: 'acme.example' } }), 'shared by acme')
    t.equal(await ask(app, { url: '/shared', headers: { host: 'none.example' } }), 'shared by null')
    t.equal(await ask(app, { url: '/shared', headers: { host: 'hooli.example' } }), 'shared by null')
  })

  t.test('that returns an invalid id is an error', async t => {
    const source: TenantSource = { ...objectSource({}), get: () => null, list: async function * () { yield * [] }, resolveHost: () => '../acme' }
    t.equal(await ask(appWith(t, { tenants: source, identify: 'host', defaultTenant: 'acme' }), { headers: { host: 'acme.example' } }), INVALID)
  })
})

t.test('an unknown host is found as soon as its source announces a change', async t => {
  const hosts = new Map<string, string>()
  let changed = (): void => {}
  const source: TenantSource = {
    get: id => ({ id }),
    async * list () { yield * [] },
    resolveHost: async host => hosts.get(host) ?? null,
    watch: tell => {
      changed = tell
      return () => {}
    }
  }
  const app = appWith(t, { tenants: source, identify: 'host' })
  const send = (): Promise<string> => ask(app, { url: '/shared', headers: { host: 'acme.example' } })
  t.equal(await send(), 'shared by null')
  hosts.set('acme.example', 'acme')
  t.equal(await send(), 'shared by null', 'negative control: it is remembered')
  changed()
  t.equal(await send(), 'shared by acme')
})
