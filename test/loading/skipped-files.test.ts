import { mkdir, rm } from 'node:fs/promises'
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { SubdomainStrategy } from '../../index.ts'
import { combinedSource } from '../../lib/sources/combined.ts'
import { objectSource } from '../../lib/sources/object.ts'
import { appWith, LogLines, MemorySource, send } from '../fixtures/lifecycle/app.ts'
import { folder, load, makeApp } from '../fixtures/loading/load.ts'
import type { FixtureDirContent } from '../fixtures/loading/load.ts'
import type { AutoloadOptions, MultitenantOptions } from '../../index.ts'

const PLUGIN = 'export default async () => {}'

/** The warnings of a load, by file. */
async function warnings (t: Test, content: FixtureDirContent, autoload: AutoloadOptions = {}): Promise<Record<string, string>> {
  const log = new LogLines()
  await load(t, folder(t, content), { autoload: { plugins: {}, routes: {}, ...autoload } }, makeApp(t, log.server))
  const warned = log.lines.filter(({ level }) => level === 40)
  t.equal(new Set(warned.map(({ file }) => file)).size, warned.length, 'one line for each')
  return Object.fromEntries(warned.map(({ file, msg }) => [file, msg])) as Record<string, string>
}

t.test("the log names what is skipped in a tenant's folder, with the fix", async t => {
  const config = "this is not loaded: name the tenant's config one of config.js, config.mjs, config.cjs, config.ts, config.mts, config.cts, config.json"
  const part = (name: string): string => `this is not loaded: the tenant's ${name} belong in the folder ${name}/`
  t.same(await warnings(t, {
    'confg.js': '',
    'config.yaml': '',
    'Config.json': '{}',
    'idnex.mjs': '',
    'hosts.json': '{}',
    'host.json': '{}',
    route: {},
    plugin: {},
    service: {},
    schmas: {}
  }), {
    'confg.js': config,
    'config.yaml': config,
    'Config.json': config,
    'idnex.mjs': 'this is not loaded: name the index module one of index.mjs, index.js, index.cjs, index.ts, index.mts, index.cts',
    'hosts.json': 'this is not loaded: hosts.json belongs beside the folders of the tenants',
    'host.json': 'this is not loaded: hosts.json belongs beside the folders of the tenants',
    route: part('routes'),
    plugin: part('plugins'),
    service: part('services'),
    schmas: part('schemas')
  })
})

t.test('an index module may import any file, except a missing config', async t => {
  t.same(await warnings(t, { 'index.mjs': '', 'confg.mjs': '', 'config.json': '{}', 'routes.mjs': '' }), {})
  t.same(Object.keys(await warnings(t, { 'index.mjs': '', 'confg.mjs': '', 'routes.mjs': '' })), ['confg.mjs'])
})

t.test('files of the system, for readers and for tools are skipped without a warning', async t => {
  const noise = (): Record<string, NonNullable<FixtureDirContent>> => ({
    '.DS_Store': '',
    'Thumbs.db': '',
    'desktop.ini': '',
    __MACOSX: { 'index.js': '' },
    '.git': {},
    '.env.example': '',
    'README.md': '',
    LICENSE: '',
    'notes.txt': '',
    'package.json': '{}',
    'tsconfig.json': '{}',
    'users.test.js': '',
    'users.d.ts': '',
    'users.js.map': '',
    'users.mjs~': '',
    node_modules: {}
  })
  const { 'users.test.js': _test, 'package.json': _package, 'users.d.ts': _types, ...inPlugins } = noise()
  const fine = (): FixtureDirContent => ({ ...structuredClone(inPlugins), __MACOSX: {}, 'index.mjs': PLUGIN })
  t.same(await warnings(t, { ...noise(), 'index.html': '', 'schema.sql': '', views: {}, lib: {}, public: {}, services: noise(), schemas: { ...noise(), 'package.json': '{ "type": "object" }', 'tsconfig.json': '{ "type": "object" }' }, plugins: fine(), routes: fine() }), {})
})

t.test('the log names a file beside an index file, unless the index imports it', async t => {
  const module = 'export default async () => {}\n'
  t.same(await warnings(t, {
    routes: {
      'autohooks.mjs': module,
      users: { 'index.mjs': `import './helper.mjs'\n${module}`, 'helper.mjs': '', 'admins.mjs': module, 'data.json': '{}', below: { 'index.mjs': module } },
      'page.tsx': ''
    },
    plugins: { db: { 'index.mjs': module, 'pool.mjs': module } }
  }), {
    'routes/users/admins.mjs': 'this file is not loaded: only index.mjs is loaded from its folder. Import the file there, or move it to its own folder',
    'routes/page.tsx': 'this file is not loaded: only modules are loaded (.js, .mjs, .cjs)',
    'plugins/db/pool.mjs': 'this file is not loaded: only index.mjs is loaded from its folder. Import the file there, or move it to its own folder'
  })
  t.same(Object.keys(await warnings(t, { plugins: { 'only.jsx': '' } })), ['plugins/only.jsx'], 'also where there is no other')
})

t.test('files that the options of autoload exclude cause no warning', async t => {
  const routes = { users: { 'index.mjs': PLUGIN, 'admins.mjs': PLUGIN }, 'page.tsx': '' }
  for (const options of [{ ignorePattern: /admins/ }, { ignoreFilter: 'admins' }, { matchFilter: 'users' }]) {
    t.same(await warnings(t, { routes }, { routes: options }), {})
  }
})

t.test('the log names schemas and services that Node cannot load', async t => {
  const message = 'this file is not loaded: only modules and JSON files are loaded (.js, .mjs, .cjs, .json)'
  t.same(await warnings(t, { schemas: { 'user.yaml': '', deep: { 'order.json5': '' } }, services: { 'Mail.tsx': '', Mail: '' } }), {
    'schemas/user.yaml': message, 'schemas/deep/order.json5': message, 'services/Mail.tsx': message, 'services/Mail': message
  })
})

t.test("the tenant's logger writes the warnings, once per load", async t => {
  const log = new LogLines()
  const app = appWith(t, { acme: { dir: folder(t, { 'confg.js': '' }) } }, {}, log.server)
  app.get('/', async () => 'fine')
  for (let request = 0; request < 3; request++) t.equal((await send(app, 'acme')).body, 'fine')
  t.match(log.lines.filter(({ level }) => level === 40), [{ tenantId: 'acme', file: 'confg.js' }])
  t.equal(log.lines.filter(({ level }) => level === 40).length, 1)
})

interface Booted { dir: string, lines: LogLines, warned: () => Record<string, unknown> }

/** An app on a folder of tenants, and its warnings. */
async function boot (t: Test, content: FixtureDirContent, options: MultitenantOptions = {}): Promise<Booted & { list: () => Promise<string[]> }> {
  const lines = new LogLines()
  const dir = t.testdir(content)
  const app = appWith(t, dir, options, lines.server)
  await app.ready()
  const warned = (): Record<string, unknown> => Object.fromEntries(lines.lines.filter(({ level, file }) => level === 40 && file !== undefined).map(({ file, msg }) => [file, msg]))
  return { dir, lines, warned, list: () => app.multitenant.list() }
}

t.test("the log names other files beside the tenants' folders at boot", async t => {
  const noId = 'this folder is not a tenant: its name must be 1 to 63 letters, digits, _ and -, the first a letter or a digit'
  const noHosts = 'this file is not read: the hosts of the tenants are in hosts.json'
  const { warned } = await boot(t, {
    acme: {},
    Globex: {},
    'with space': {},
    'acme.example': {},
    gone: t.fixture('symlink', 'nowhere'),
    'host.json': '{}',
    'hosts.yml': '',
    'hosts.json': '{}',
    'README.md': '',
    'data.csv': '',
    _shared: {},
    '.git': {},
    __MACOSX: {},
    node_modules: {}
  })
  t.same(warned(), {
    'with space': noId, 'acme.example': noId, 'host.json': noHosts, 'hosts.yml': noHosts, gone: 'this is not a tenant: it is a link to nothing, or to a file'
  })
})

t.test('a warning comes once, and again when the file is back', async t => {
  const name = `with space ${randomUUID()}`
  const { dir, lines, list } = await boot(t, { acme: {} })
  const count = (): number => lines.lines.filter(({ file }) => file === name).length
  await mkdir(join(dir, name))
  for (let round = 0; round < 3; round++) t.same(await list(), ['acme'])
  t.equal(count(), 1)
  await rm(join(dir, name), { recursive: true })
  await list()
  await mkdir(join(dir, name))
  await list()
  t.equal(count(), 2)
})

t.test('the log names a folder with capitals in its name if subdomains identify tenants, because no host can name it', async t => {
  const reason = 'no request can name this tenant: hosts are read in lower case, so write the name of the folder in lower case'
  const content = { acme: {}, Globex: {} }
  const baseDomain = 'example.com'
  t.same((await boot(t, content, { identify: 'subdomain', baseDomain })).warned(), { Globex: reason })
  t.same((await boot(t, content, { identify: new SubdomainStrategy({ baseDomain }) })).warned(), { Globex: reason })
  t.same((await boot(t, content, { identify: ['subdomain', 'header'], baseDomain })).warned(), {})
})

t.test('the log warns of a defaultTenant that does not exist', async t => {
  const line = 'defaultTenant does not exist: requests that name no tenant are refused until it does'
  const log = new LogLines()
  const warned = log.next(line)
  await appWith(t, { acme: {} }, { defaultTenant: 'nobody' }, log.server).ready()
  t.match(await warned, { level: 40, tenantId: 'nobody' })

  const other = new LogLines()
  const failed = other.next('the source of tenants failed: it is not known whether defaultTenant and hosts exist')
  const source = new MemorySource()
  source.failure = new Error('no database')
  await appWith(t, source, { defaultTenant: 'acme' }, other.server).ready()
  t.match(await failed, { level: 40, err: { message: 'no database' } })
})

t.test('the log warns if hosts identify tenants and no tenant has a host', async t => {
  const line = "no tenant has a host, so identify: 'host' finds no tenant: add hosts.json to the folders, or `hosts` to tenants in code"
  const said = async (tenants: MultitenantOptions['tenants'], defaultTenant: string): Promise<number> => {
    const log = new LogLines()
    // This check runs after that for hosts.
    const done = log.next('defaultTenant does not exist: requests that name no tenant are refused until it does')
    await appWith(t, tenants, { identify: 'host', defaultTenant }, log.server).ready()
    await done
    return log.of(line).length
  }
  t.equal(await said({ acme: {} }, 'nobody'), 1)
  t.equal(await said({ acme: { hosts: ['a.example'] } }, 'nobody'), 0)
  t.equal(await said(t.testdir({ acme: {} }), 'nobody'), 1)
  t.equal(await said(t.testdir({ acme: {}, 'hosts.json': '{}' }), 'nobody'), 1)
  t.equal(await said(t.testdir({ acme: {}, 'hosts.json': '{ "acme": ["a.example"] }' }), 'nobody'), 0)
  t.equal(await said([{ acme: {} }, { globex: {} }], 'nobody'), 1)
  t.equal(await said([{ acme: {} }, { globex: { hosts: ['a.example'] } }], 'nobody'), 0)
  const unknown = Object.assign(new MemorySource(), { resolveHost: () => null })
  t.equal(await said(unknown, 'nobody'), 0, 'nobody knows')
  t.equal(await combinedSource([new MemorySource(), objectSource({}), unknown]).hasHosts(), true)
})
