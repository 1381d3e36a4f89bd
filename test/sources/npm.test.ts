import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { MultiTenantServer } from '../../index.ts'
import { packageNameOf } from '../../lib/sources/packages.ts'
import { readOwnId } from '../../lib/server/server-sources.ts'
import { NpmSource } from '../../lib/sources/npm.ts'
import type { FastifyInstance } from 'fastify'
import type { ServerConfig } from '../../index.ts'

type Content = NonNullable<Parameters<Test['testdir']>[0]>

/** A project with these packages as dependencies: the content of each, or `null` if it is not installed. */
function project (t: Test, packages: Record<string, Content | null>, more: Record<string, Content> = {}, manifest: object = {}): string {
  const modules: Record<string, Content> = {}
  for (const [name, content] of Object.entries(packages)) {
    if (content === null) continue
    const [scope, rest] = name.split('/') as [string, string?]
    const whole = { 'package.json': JSON.stringify({ name, type: 'module' }), ...content as object }
    modules[scope] = rest === undefined ? whole : { ...modules[scope] as object, [rest]: whole }
  }
  const dependencies = Object.fromEntries(Object.keys(packages).map(name => [name, '1.0.0']))
  return t.testdir({ 'package.json': JSON.stringify({ dependencies, ...manifest }), node_modules: modules, ...more })
}

async function open (root: string, pattern: string): Promise<Record<string, string | undefined>> {
  const source = new NpmSource({ root, pattern, readOwnId })
  await source.open()
  const dirs: Record<string, string | undefined> = {}
  for await (const id of source.list()) dirs[id] = source.get(id)?.dir?.slice(join(root, 'node_modules/').length)
  t.equal(source.count(), Object.keys(dirs).length)
  t.equal(source.get('nobody'), null)
  return dirs
}

async function start (t: Test, config: ServerConfig): Promise<{ app: FastifyInstance, server: MultiTenantServer }> {
  const server = new MultiTenantServer({ ...config, server: { port: 0, logLevel: 'silent' } })
  t.teardown(() => server.stop())
  return { server, app: await server.start() }
}

t.test('the name of a package is read from an import', async t => {
  for (const [specifier, name] of [['a', 'a'], ['a/b', 'a'], ['@a/b', '@a/b'], ['@a/b/c.js', '@a/b'], ['a/.well', 'a'], ['@a', null], ['a/../b', null], ['./a', null], ['a:b', null], ['a/', null]] as const) {
    t.equal(packageNameOf(specifier), name, specifier)
  }
})

t.test('dependencies that match the pattern are tenants', async t => {
  const root = project(t, { 'acme-tenant-one': {}, 'acme-tenant-two': {}, other: {}, '@acme/tenant-three': {}, 'my-eu-four': {}, exact: {} })
  t.strictSame(await open(root, 'acme-tenant-*'), { one: 'acme-tenant-one', two: 'acme-tenant-two' })
  t.strictSame(await open(root, '@acme/tenant-*'), { three: '@acme/tenant-three' })
  t.strictSame(await open(root, 'my-{eu,us}-*'), { 'eu-four': 'my-eu-four' })
  t.strictSame(await open(root, 'exact'), { exact: 'exact' })
  t.strictSame(await open(root, '*-tenant-{one,two}'), { 'acme-tenant-one': 'acme-tenant-one', 'acme-tenant-two': 'acme-tenant-two' })
  t.strictSame(await open(root, 'nothing-*'), {})
})

t.test('the main module of a package may name the tenant', async t => {
  const root = project(t, {
    't-a': { 'index.mjs': 'export const NAME = "named"' },
    't-b': { 'package.json': '{ "main": "lib/main.cjs" }', lib: { 'main.cjs': 'exports.TENANT_ID = "id-b"; exports.NAME = "Mister B"' } },
    't-c': { 'package.json': '{ "type": "module", "exports": "./main.js" }', 'main.js': 'export const TENANT_ID = "id-c"', 'index.js': 'export const NAME = "not-this"' },
    't-d': { 'package.json': '{ "main": "main" }', 'main.js': 'exports.name = "Only to be shown"' }
  })
  t.strictSame(await open(root, 't-*'), { named: 't-a', 'id-b': 't-b', 'id-c': 't-c', d: 't-d' })
})

t.test('a package of a workspace is found at its real path', async t => {
  const root = t.testdir({
    'package.json': '{ "dependencies": { "t-acme": "*" } }',
    node_modules: { 't-acme': t.fixture('symlink', '../packages/acme') },
    packages: { acme: { 'package.json': '{}' } }
  })
  const source = new NpmSource({ root, pattern: 't-*', readOwnId })
  await source.open()
  t.equal(source.get('acme')?.dir, join(root, 'packages/acme'))
})

t.test('an invalid package is refused at boot', async t => {
  const fail = async (root: string, error: { code: string, message?: string | RegExp, cause?: object }, pattern = 't-*'): Promise<void> => {
    const server = new MultiTenantServer({ root, server: { port: 0, logLevel: 'silent' }, tenants: { npmPattern: pattern } })
    await t.rejects(server.start(), error)
    t.equal(server.app.server.listening, false)
  }
  const invalid = 'FST_TENANT_PACKAGE_INVALID'
  await fail(project(t, { 't-a': null }), { code: invalid, message: "The package 't-a' is not installed" })
  await fail(project(t, { 't-.a': {} }), { code: invalid, message: /^The package 't-\.a' cannot be a tenant: '\.a' is not a tenant id/ })
  await fail(project(t, { 't-spaced': { 'index.js': 'export const NAME = "Mister A"' } }), { code: invalid, message: /'Mister A' is not a tenant id/ })
  const why = { code: invalid, message: /^The package 't-(broken|gone)' cannot be a tenant: its main module cannot be read$/ }
  await fail(project(t, { 't-broken': { 'index.js': 'throw new Error("broken")' } }), { ...why, cause: { message: 'index.js: broken' } })
  await fail(project(t, { 't-gone': { 'package.json': '{ "main": "gone.js" }' } }), why)
  await fail(project(t, { 't-one': { 'index.js': 'export const NAME = "same"' }, 't-other': { 'index.js': 'export const NAME = "same"' } }), {
    code: 'FST_TENANT_ID_TAKEN', message: /^Tenant 'same' exists more than once: .+t-one and .+t-other$/
  })
  await fail(t.testdir({}), { code: 'FST_TENANT_OPTION_INVALID', message: /'root'.+has no package\.json$/ })
  await fail(t.testdir({ 'package.json': '{' }), { code: invalid, message: /has a package\.json that cannot be read$/, cause: { name: 'SyntaxError' } })
})

t.test('an optional dependency may be missing', async t => {
  const root = project(t, { 't-a': {}, 't-b': null }, {}, { dependencies: { 't-a': '*' }, optionalDependencies: { 't-b': '*' } })
  t.strictSame(await open(root, 't-*'), { a: 't-a' })
})

t.test("a package may have every part of a tenant's folder", async t => {
  const root = project(t, {
    't-acme': {
      'config.json': '{ "plan": "pro" }',
      routes: { 'index.js': 'export default async (app, { tenant, config }) => { app.get("/plan", async () => ({ id: tenant.id, plan: config.plan })) }' },
      services: { 'Users.js': 'export default class { list () { return [] } }' }
    }
  })
  const { app, server } = await start(t, { root, tenants: { npmPattern: 't-*' } })
  t.strictSame((await app.inject({ url: '/plan', headers: { 'x-tenant-id': 'acme' } })).json(), { id: 'acme', plan: 'pro' })
  t.strictSame((await server.initTenant('acme')).listServices(), ['Users'])
  t.match(await server.getTenantStats(), { active: 1, total: 1 })

  await writeFile(join(root, 'node_modules/t-acme/config.json'), '{ "plan": "free" }')
  await server.reloadTenant('acme')
  t.strictSame((await app.inject({ url: '/plan', headers: { 'x-tenant-id': 'acme' } })).json(), { id: 'acme', plan: 'free' })
})

t.test('folders and packages', async t => {
  t.test('are tenants together', async t => {
    const root = project(t, { 't-acme': {} }, { src: { tenants: { globex: {} } } })
    const { app, server } = await start(t, { root, tenants: { npmPattern: 't-*' } })
    t.strictSame(await app.multitenant.list(), ['globex', 'acme'])
    t.equal((await server.initTenant('acme')).id, 'acme')
    t.equal((await server.initTenant('globex')).id, 'globex')
    await t.rejects(server.initTenant('hooli'), { code: 'FST_TENANT_NOT_FOUND' })

    await mkdir(join(root, 'src/tenants/acme'))
    await server.tenantManager.unload('acme')
    await t.rejects(server.initTenant('acme'), { code: 'FST_TENANT_LOAD_FAILED', cause: { code: 'FST_TENANT_ID_TAKEN' } }, 'that came after the boot: only this tenant is left out')
    t.equal((await server.initTenant('globex')).id, 'globex')
  })

  t.test('may have hosts, which are all in the file beside the folders', async t => {
    const root = project(t, { 't-acme': {} }, { src: { tenants: { globex: {}, 'hosts.json': '{ "acme": ["acme.example"], "globex": ["*.globex.example"] }' } } })
    const { app } = await start(t, { root, tenants: { npmPattern: 't-*' }, multitenant: { identify: 'host', required: true } })
    for (const [host, id] of [['acme.example', 'acme'], ['www.globex.example', 'globex']] as const) {
      await app.inject({ url: '/', headers: { host } })
      t.equal(app.multitenant.get(id)?.id, id)
    }
  })

  t.test('must not have the same id', async t => {
    const root = project(t, { 't-acme': {} }, { src: { tenants: { acme: {} } } })
    const server = new MultiTenantServer({ root, server: { port: 0, logLevel: 'silent' }, tenants: { npmPattern: 't-*' } })
    await t.rejects(server.start(), { code: 'FST_TENANT_ID_TAKEN', message: `Tenant 'acme' exists more than once: ${join(root, 'src/tenants/acme')} and ${join(root, 'node_modules/t-acme')}` })
  })
})
