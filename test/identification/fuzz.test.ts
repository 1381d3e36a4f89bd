import fs from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { sep } from 'node:path'
import cookie from '@fastify/cookie'
import jwt from '@fastify/jwt'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { request } from '../../bench/support/fake-http.js'
import { canonicalHost, hostPatterns } from '../../lib/hosts/canonical-host.ts'
import { isAnyId, isTenantId } from '../../lib/utils/tenant-id.ts'
import { directorySource } from '../../lib/sources/directory.ts'
import { appWith, pair } from '../fixtures/identification/asking.ts'
import type { FastifyInstance } from 'fastify'
import type { MultitenantOptions } from '../../index.ts'

/** The same seed makes the same inputs. */
const seed = Number(process.env['FUZZ_SEED'] ?? 1)
let inputs = 0
/** The number of inputs that reached a tenant: if none does, nothing was tested. */
let reached = 0

const PIECES = [
  'acme', 'globex', 'Acme', 'GLOBEX', 'acm', 'e', 'initech', 'www', 'example', 'com', '.', '..', '/', '\\', '//', '%', '%2e', '%2E%2e', '%2f', '%00', '%61', '\0', '\r\n', '\t', ' ',
  '@', ':', ':80', '#', '?', '&', '=', ';', ',', '*', '-', '_', '[', ']', '::1', '127.0.0.1', 'xn--', 'http://', '__proto__', 'constructor', 'toString', 'x'.repeat(64), 'x'.repeat(300),
  // Look-alikes: circled, ordinal, Cyrillic and full-width letters, a soft hyphen, a zero width space, an ideographic full stop, the Kelvin sign, half a pair.
  'ⓐcme', 'ªcme', 'аcme', 'ａｃｍｅ', 'ac\u00adme', 'acme\u200b', '。', '\u212a', 'ß', 'e\u0301', '\ud800'
]

/** Possible inputs for an id, a segment or a label. */
const nasty = fc.oneof(
  fc.constantFrom('acme', 'globex'),
  fc.array(fc.constantFrom(...PIECES), { minLength: 1, maxLength: 5 }).map(pieces => pieces.join('')),
  fc.string({ unit: 'binary', maxLength: 70 }),
  fc.string({ unit: 'grapheme', maxLength: 20 })
)

/** Possible inputs for a host, similar to a host of acme. */
const nastyHost = fc.oneof(
  nasty,
  nasty.map(label => `${label}.example.com`),
  fc.tuple(nasty, nasty).map(([before, after]) => `${before}acme.example.com${after}`),
  fc.tuple(fc.constantFrom('acme.example.com', 'shop.acme.example', 'x.globex.example'), fc.constantFrom('', '.', ':80', '.:8080', '..', ':x', '/', '\0')).map(parts => parts.join(''))
)

function check (t: Test, runs: number, arbitrary: fc.Arbitrary<string>, holds: (input: string) => boolean | Promise<boolean>): Promise<void> {
  inputs += runs
  return t.resolves(fc.assert(fc.asyncProperty(arbitrary, async input => holds(input)), { seed, numRuns: runs })) as unknown as Promise<void>
}

interface Sent { url?: string, headers?: Record<string, string> }

/** Sends a request past Node's parser, which would refuse much of it. */
async function send (app: FastifyInstance, { url = '/who', headers = {} }: Sent): Promise<{ status: number, body: string }> {
  const all = { host: 'elsewhere.example', ...headers }
  const response = request(app, url, all, Object.entries(all).flat())
  if (!response.writableEnded) await new Promise(resolve => { response.once('close', resolve) })
  return { status: response.statusCode, body: response.body }
}

/** Checks that the request may have reached the tenant that answered, and that nothing broke. */
async function isRight (app: FastifyInstance, sent: Sent, mayReach: (id: string) => boolean): Promise<boolean> {
  const { status, body } = await send(app, sent)
  if (status !== 200) return status >= 400 && status < 500
  if (body === 'nobody') return true
  reached++
  return mayReach(body.replace(/ x$/, ''))
}

/** An app that answers every request with the id of its tenant. */
async function answering (t: Test, options: MultitenantOptions): Promise<FastifyInstance> {
  const app = appWith(t, options, app => {
    app.register(cookie, { secret: 'secret' })
    app.register(jwt, { secret: 'secret' })
  })
  app.get('/*', async ({ tenantId }) => tenantId ?? 'nobody')
  await app.ready()
  await app.multitenant.init('acme')
  await app.multitenant.init('globex')
  return app
}

t.test('ids', async t => {
  t.test('in a header reach the tenant with exactly this id', async t => {
    const app = await answering(t, { identify: 'header' })
    await check(t, 20_000, nasty, id => isRight(app, { headers: { 'x-tenant-id': id } }, reached => reached === id))
  })

  t.test('in a query reach the tenant with the decoded id', async t => {
    const app = await answering(t, { identify: 'query' })
    await check(t, 15_000, nasty, text => isRight(app, { url: `/who?tenant=${text}` }, reached => {
      const given = new URLSearchParams(text.startsWith('?') ? `tenant=${text}` : `tenant=${text}`.split('#')[0]).getAll('tenant')
      return given.length === 1 && given[0] === reached
    }))
  })

  t.test('in a path reach the tenant with the id of the first segment, undecoded', async t => {
    const app = await answering(t, { identify: 'path' })
    await check(t, 15_000, nasty, text => isRight(app, { url: `/${text}/who` }, reached => new RegExp(`^/${reached}(?:[/?#]|$)`).test(`/${text}/who`)))
    await check(t, 5_000, nasty, text => isRight(app, { url: `${text}/who` }, reached => new RegExp(`^(?:https?://[^/?#]+)?/${reached}(?:[/?#]|$)`, 'i').test(`${text}/who`)))
  })

  t.test('in a cookie or a token without a valid signature reach no tenant', async t => {
    for (const identify of ['cookie', 'jwt'] as const) {
      const app = await answering(t, { identify })
      const [name, value] = identify === 'cookie' ? ['cookie', 'tenant='] : ['authorization', 'Bearer ']
      await check(t, 3_000, nasty, text => isRight(app, { headers: { [name]: value + text } }, () => false))
    }
  })

  t.test("lead to no path outside of the tenants' folder", async t => {
    const dir = t.testdir({ acme: {}, globex: {}, Initech: {}, 'hosts.json': '{ "acme": ["only.example"] }' })
    const paths = new Set<unknown>()
    for (const name of ['readdir', 'readFile', 'stat'] as const) {
      const real = fs[name]
      t.capture(fs, name, (...given: unknown[]) => {
        paths.add(given[0])
        return Reflect.apply(real, fs, given)
      })
    }
    // The names by which modules were imported.
    syncBuiltinESMExports()
    t.teardown(syncBuiltinESMExports)
    for (const isId of [isTenantId, isAnyId]) {
      const source = directorySource(dir, isId)
      await check(t, 5_000, nasty, async id => {
        const found = await source.get(id)
        return found === null ? !['acme', 'globex', 'Initech'].includes(id) : found.dir === `${dir}${sep}${id}`
      })
      await check(t, 2_000, nastyHost, async host => await source.resolveHost(host) === null)
    }
    const known = [dir, ...['acme', 'globex', 'Initech', 'hosts.json'].map(name => `${dir}${sep}${name}`)]
    t.strictSame([...paths].filter(path => !known.includes(path as string)), [], 'nothing but these was looked at')
  })
})

t.test('hosts', async t => {
  const hostOf = (pattern: string, host: string): boolean => new RegExp(`^${pattern}\\.?(?::\\d{0,5})?$`, 'i').test(host)

  t.test('have one canonical form, which is a host and its own canonical form', async t => {
    await check(t, 30_000, nastyHost, written => {
      const host = canonicalHost(written)
      if (host === null) return true
      return (/^[a-z0-9_.-]{1,253}$/.test(host) || /^\[[0-9a-f:]+\]$/.test(host)) && canonicalHost(host) === host && hostPatterns(host)[0] === host
    })
  })

  t.test('below a base domain reach the tenant that the label names', async t => {
    const app = await answering(t, { identify: 'subdomain', baseDomain: 'example.com' })
    await check(t, 15_000, nastyHost, host => isRight(app, { headers: { host } }, reached => hostOf(`${reached}\\.example\\.com`, host)))
  })

  t.test('of tenants reach the tenants that have them', async t => {
    const tenants = { acme: { ...pair.acme, hosts: ['acme.example.com', '*.acme.example'] }, globex: { ...pair.globex, hosts: ['*.globex.example'] } }
    const written: Record<string, string> = { acme: '(?:acme\\.example\\.com|[a-z0-9_.-]+\\.acme\\.example)', globex: '[a-z0-9_.-]+\\.globex\\.example' }
    const app = await answering(t, { tenants, identify: 'host' })
    await check(t, 15_000, nastyHost, host => isRight(app, { headers: { host } }, reached => hostOf(written[reached] as string, host)))
  })
})

t.test('negative control: a strategy that trims its input is detected', async t => {
  const app = await answering(t, { identify: ({ headers }) => String(headers['x-tenant-id']).replace(/[^a-z]/gi, '').toLowerCase() })
  const property = fc.asyncProperty(nasty, async id => isRight(app, { headers: { 'x-tenant-id': id } }, reached => reached === id))
  t.equal((await fc.check(property, { seed, numRuns: 20_000 })).failed, true)
})

t.test('enough inputs reached a tenant', async t => {
  t.ok(inputs >= 100_000, `${inputs} inputs`)
  t.ok(reached >= 1_000, `${reached} of them reached a tenant`)
})
