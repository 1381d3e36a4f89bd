import { randomUUID } from 'node:crypto'
import { mkdir, realpath, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t, { type Test } from 'tap'
import { ModuleReloader } from '../../lib/loading/modules/module-reloader.ts'
import { importModule } from '../../lib/loading/modules/modules.ts'
import { versionedUrl } from '../../lib/loading/modules/versions.ts'
import { appWith, Door, refusal, send } from '../fixtures/lifecycle/app.ts'
import type { FastifyInstance } from 'fastify'
import type { InlineTenant, MultitenantOptions } from '../../index.ts'

type Files = Record<string, string>

/** One folder per test: a second `testdir()` would empty the first. */
const roots = new WeakMap<Test, string>()

function rootOf (t: Test): string {
  const root = roots.get(t) ?? t.testdir({})
  roots.set(t, root)
  return root
}

/** A tenant's folder whose files change while the app runs, at a path from which nothing was imported before. */
class Folder {
  readonly dir: string
  #writes = 0

  constructor (t: Test) {
    this.dir = join(rootOf(t), randomUUID())
  }

  async write (files: Files): Promise<void> {
    // Two writes must not have the same time: the kernel's clock may not advance between them.
    const time = new Date(Date.now() + ++this.#writes * 1000)
    for (const [name, text] of Object.entries(files)) {
      const file = join(this.dir, name)
      await mkdir(dirname(file), { recursive: true })
      await writeFile(file, text)
      await utimes(file, time, time)
    }
  }
}

/** An app with the tenant acme, which has these files. */
async function setUp (t: Test, files: Files, options: MultitenantOptions = {}, more: Record<string, InlineTenant> = {}): Promise<{ app: FastifyInstance, folder: Folder, read (url?: string): Promise<string> }> {
  const folder = new Folder(t)
  await folder.write(files)
  const app = appWith(t, { acme: { dir: folder.dir }, ...more }, options)
  await app.ready()
  return { app, folder, read: async (url = '/') => (await send(app, 'acme', url)).body }
}

function route (body: string, imports = ''): string {
  return `${imports}\nexport default async app => { app.get('/', async request => ${body}) }\n`
}

t.test('a reload reads ES modules again, with all of their imports', async t => {
  const { app, folder, read } = await setUp(t, {
    'routes/index.mjs': route('first', "import { first } from '../shared/first.mjs'"),
    'shared/first.mjs': "import { second } from './second.mjs'\nexport const first = 'first of ' + second",
    'shared/second.mjs': "export const second = 'one'"
  })
  t.equal(await read(), 'first of one')
  for (const version of ['two', 'three']) {
    await folder.write({ 'shared/second.mjs': `export const second = '${version}'` })
    await app.multitenant.reload('acme')
    t.equal(await read(), `first of ${version}`)
  }
})

t.test('negative control: without the hooks the imports of a module are not read again', async t => {
  const folder = new Folder(t)
  await folder.write({ 'entry.mjs': "export { value } from './value.mjs'", 'value.mjs': "export const value = 'old'" })
  const load = (version: number): Promise<{ value: string }> => import(join(folder.dir, `entry.mjs?v=${version}`))
  t.equal((await load(1)).value, 'old')
  await folder.write({ 'value.mjs': "export const value = 'new'" })
  t.equal((await load(2)).value, 'old')
})

t.test('a reload reads CommonJS modules again, with what they require', async t => {
  const { app, folder, read } = await setUp(t, {
    'routes/index.cjs': "const { value } = require('../shared/value.cjs')\nmodule.exports = async app => { app.get('/', async () => value) }",
    'shared/value.cjs': "exports.value = require('./deep.cjs')",
    'shared/deep.cjs': "module.exports = 'one'"
  })
  t.equal(await read(), 'one')
  await folder.write({ 'shared/deep.cjs': "module.exports = 'two'" })
  await app.multitenant.reload('acme')
  t.equal(await read(), 'two')
})

t.test('a reload reads plugins, services, schemas, the index and every kind of config again', async t => {
  const files = (value: string): Files => ({
    'index.mjs': `export const name = '${value}'`,
    'config.mjs': 'import { plan } from \'./plan.mjs\'\nexport default { plan }',
    'plan.mjs': `export const plan = '${value}'`,
    'plugins/mark.mjs': `export default async app => { app.decorate('mark', '${value}') }`,
    'services/Users.mjs': `export default class Users { name = '${value}' }`,
    'schemas/user.json': `{ "$id": "user", "type": "object", "title": "${value}" }`,
    'routes/index.mjs': route("[request.tenant.name, request.tenant.config.plan, app.mark, request.tenant.getService('Users').name, app.getSchema('user').title].join()")
  })
  const { app, folder, read } = await setUp(t, files('old'))
  t.equal(await read(), 'old,old,old,old,old')
  await folder.write(files('new'))
  await app.multitenant.reload('acme')
  t.equal(await read(), 'new,new,new,new,new')
})

t.test('a reload finds added and deleted files', async t => {
  const { app, folder, read } = await setUp(t, { 'routes/index.mjs': route("'index'"), 'routes/old/index.mjs': route("'old'") })
  t.equal(await read('/old'), 'old')
  await rm(join(folder.dir, 'routes', 'old'), { recursive: true })
  await folder.write({ 'routes/new/index.mjs': route("'new'") })
  await app.multitenant.reload('acme')
  t.equal(await read('/new'), 'new')
  t.equal((await send(app, 'acme', '/old')).statusCode, 404)
})

for (const format of ['json', 'mjs', 'cjs'] as const) {
  t.test(`a reload with code: false reads config.${format} again, and no code`, async t => {
    const config = (plan: string): Files => ({
      json: { 'config.json': JSON.stringify({ plan }) },
      mjs: { 'config.mjs': `export default { plan: '${plan}' }` },
      cjs: { 'config.cjs': `module.exports = { plan: '${plan}' }` }
    })[format]
    const { app, folder, read } = await setUp(t, { ...config('free'), 'routes/index.mjs': route("'old ' + request.tenant.config.plan") })
    t.equal(await read(), 'old free')
    await folder.write({ ...config('gold'), 'routes/index.mjs': route("'new ' + request.tenant.config.plan") })
    const { generation } = await app.multitenant.reload('acme', { code: false })
    t.equal(generation, 2)
    t.equal(await read(), 'old gold')
    await app.multitenant.reload('acme')
    t.equal(await read(), 'new gold')
  })
}

t.test('a late import of an old generation gets the code that it was built from', async t => {
  const door = new Door()
  const folder = new Folder(t)
  const files = (value: string): Files => ({
    'routes/index.mjs': `import { value } from '../value.mjs'
      export default async app => {
        app.get('/', async () => value)
        app.get('/late', async () => {
          await app.door.pass()
          return value + ' ' + (await import('../value.mjs')).value
        })
      }`,
    'value.mjs': `export const value = '${value}'`
  })
  await folder.write(files('one'))
  const app = appWith(t, { acme: { dir: folder.dir } })
  app.decorate('door', door)
  await app.ready()
  const values = [(await send(app, 'acme')).body]
  const late = [send(app, 'acme', '/late')]
  for (const value of ['two', 'three']) {
    await folder.write(files(value))
    await app.multitenant.reload('acme')
    values.push((await send(app, 'acme')).body)
    late.push(send(app, 'acme', '/late'))
  }
  await door.reached
  door.open()
  t.same(values, ['one', 'two', 'three'])
  t.same((await Promise.all(late)).map(({ body }) => body), ['one one', 'two two', 'three three'])
})

t.test('tenants that share a folder each have the code of their own last load', async t => {
  const folder = new Folder(t)
  await folder.write({ 'routes/index.mjs': route("request.tenantId + ' old'") })
  const app = appWith(t, { acme: { dir: folder.dir }, globex: { dir: folder.dir } })
  await app.ready()
  const read = async (): Promise<string[]> => [(await send(app, 'acme')).body, (await send(app, 'globex')).body]
  t.same(await read(), ['acme old', 'globex old'])
  await folder.write({ 'routes/index.mjs': route("request.tenantId + ' new'") })
  await app.multitenant.reload('acme')
  t.same(await read(), ['acme new', 'globex old'])
  await app.multitenant.reload('globex')
  t.same(await read(), ['acme new', 'globex new'])
})

t.test('all modules of one generation are from one reading, even if another tenant of the folder is reloaded meanwhile', async t => {
  const door = new Door()
  const folder = new Folder(t)
  await folder.write({
    'state.mjs': 'export const state = { marked: false }',
    'plugins/mark.mjs': `import { state } from '../state.mjs'
      export default async (app, { tenant }) => {
        state.marked = true
        if (tenant.id === 'acme') await app.door.pass()
      }`,
    'routes/index.mjs': route('String(state.marked)', "import { state } from '../state.mjs'"),
  })
  const app = appWith(t, { acme: { dir: folder.dir }, globex: { dir: folder.dir, plugin: async () => { if (reloading) await hold.pass() } } })
  app.decorate('door', door)
  let reloading = false
  const hold = new Door()
  await app.ready()
  await app.multitenant.init('globex')
  reloading = true
  const acme = send(app, 'acme')
  await door.reached
  const reloaded = app.multitenant.reload('globex')
  // The reload may wait for the load of acme, or be at its own plugin: it continues in both cases.
  await Promise.race([hold.reached, new Promise(resolve => setImmediate(resolve))])
  await Promise.all(Array.from({ length: 50 }, () => new Promise(resolve => setImmediate(resolve))))
  door.open()
  t.equal((await acme).body, 'true', 'the route sees the module that the plugin of its generation has marked')
  hold.open()
  await reloaded
})

t.test('a failing and a hanging tenant do not keep other tenants of the folder from loading', async t => {
  const folder = new Folder(t)
  await folder.write({
    'plugins/database.mjs': `export default async (app, { tenant }) => {
        if (tenant.id === 'failing') throw new Error('no database')
        if (tenant.id === 'hanging') await app.door.pass()
      }`,
    'routes/index.mjs': route('request.tenantId')
  })
  const { dir } = folder
  const door = new Door()
  const app = appWith(t, { hanging: { dir }, failing: { dir }, healthy: { dir } })
  app.decorate('door', door)
  await app.ready()
  const hanging = send(app, 'hanging')
  await door.reached
  t.same(refusal(await send(app, 'failing')), [503, 'FST_TENANT_LOAD_FAILED'])
  t.equal((await send(app, 'healthy')).body, 'healthy')
  door.open()
  t.equal((await hanging).body, 'hanging')
})

t.test('a folder behind a symbolic link is read again too', async t => {
  const folder = new Folder(t)
  await folder.write({ 'routes/index.mjs': route("'old'"), 'services/Users.cjs': "module.exports = class Users { name = 'old' }" })
  const link = join(dirname(folder.dir), `${randomUUID()}-link`)
  await symlink(folder.dir, link)
  t.not(await realpath(link), link)
  const app = appWith(t, { acme: { dir: link } })
  const read = async (): Promise<unknown> => [(await send(app, 'acme')).body, app.multitenant.get('acme')?.getService<{ name: string }>('Users').name]
  t.same(await read(), ['old', 'old'])
  await folder.write({ 'routes/index.mjs': route("'new'"), 'services/Users.cjs': "module.exports = class Users { name = 'new' }" })
  await app.multitenant.reload('acme')
  t.same(await read(), ['new', 'new'])
})

t.test('a module with an error is read again when it is fixed', async t => {
  for (const broken of ['export default async app => { this is no code', "throw new Error('at the top')", "import '../nowhere.mjs'"]) {
    await t.test(broken, async t => {
      const { app, folder, read } = await setUp(t, { 'routes/index.mjs': route("'old'") })
      t.equal(await read(), 'old')
      await folder.write({ 'routes/index.mjs': broken })
      await t.rejects(app.multitenant.reload('acme'), { code: 'FST_TENANT_LOAD_FAILED', cause: { message: /^routes\/index\.mjs: / } })
      t.equal(await read(), 'old')
      await folder.write({ 'routes/index.mjs': route("'mended'") })
      await app.multitenant.reload('acme')
      t.equal(await read(), 'mended')
    })
  }
})

t.test('a tenant that never loaded loads when its code is fixed', async t => {
  const { app, folder } = await setUp(t, { 'routes/index.mjs': 'this is no code' })
  t.same(refusal(await send(app, 'acme')), [503, 'FST_TENANT_LOAD_FAILED'])
  await folder.write({ 'routes/index.mjs': route("'mended'") })
  await app.multitenant.init('acme')
  t.equal((await send(app, 'acme')).body, 'mended')
})

t.test('a tenant whose last reload failed loads fixed code after an unload', async t => {
  const { app, folder, read } = await setUp(t, { 'routes/index.mjs': route("'old'") })
  t.equal(await read(), 'old')
  await folder.write({ 'routes/index.mjs': 'this is no code' })
  await t.rejects(app.multitenant.reload('acme'))
  await folder.write({ 'routes/index.mjs': route("'mended'") })
  await app.multitenant.unload('acme')
  t.equal(await read(), 'mended')
})

t.test('node_modules in a folder are not read again', async t => {
  const { app, folder, read } = await setUp(t, {
    'node_modules/installed/package.json': '{ "name": "installed", "type": "module", "exports": "./index.js" }',
    'node_modules/installed/index.js': "export const value = 'installed'",
    'routes/index.mjs': route("'old ' + value", "import { value } from 'installed'")
  })
  t.equal(await read(), 'old installed')
  await folder.write({ 'node_modules/installed/index.js': "export const value = 'changed'", 'routes/index.mjs': route("'new ' + value", "import { value } from 'installed'") })
  await app.multitenant.reload('acme')
  t.equal(await read(), 'new installed')
})

t.test('a reload of a tenant does not read code of another tenant or of the app again', async t => {
  const other = new Folder(t)
  await other.write({ 'routes/index.mjs': route("'other old'") })
  const { app, folder, read } = await setUp(t, { 'routes/index.mjs': route("'old'") }, {}, { globex: { dir: other.dir } })
  await read()
  t.equal((await send(app, 'globex')).body, 'other old')
  await folder.write({ 'routes/index.mjs': route("'new'") })
  await other.write({ 'routes/index.mjs': route("'other new'") })
  await app.multitenant.reload('acme')
  await app.multitenant.reload('globex', { code: false })
  t.equal(await read(), 'new')
  t.equal((await send(app, 'globex')).body, 'other old')
})

t.test('CommonJS modules that were read again are not kept by modules that required them', async t => {
  const { app, read } = await setUp(t, {
    'routes/index.cjs': "require('../shared/value.cjs')\nmodule.exports = async app => { app.get('/', async () => 'ok') }",
    'shared/value.cjs': "exports.value = 'x'.repeat(10)"
  })
  await read()
  const { createRequire } = await import('node:module')
  const { cache } = createRequire(import.meta.url)
  const children = (): number => Object.values(cache).reduce((sum, module) => sum + (module?.children.length ?? 0), 0)
  const before = [Object.keys(cache).length, children()]
  for (let reload = 0; reload < 10; reload++) await app.multitenant.reload('acme')
  t.same([Object.keys(cache).length, children()], before)
})

t.test('two apps in one process read their tenants again independently', async t => {
  const files = { 'routes/index.mjs': route("'old'") }
  const [first, second] = [await setUp(t, files), await setUp(t, files)]
  for (const { read } of [first, second]) t.equal(await read(), 'old')
  for (const { app, folder } of [first, second]) {
    await folder.write({ 'routes/index.mjs': route("'new'") })
    await app.multitenant.reload('acme')
  }
  await first.app.close()
  t.equal(await second.read(), 'new')
  await second.folder.write({ 'routes/index.mjs': route("'newest'") })
  await second.app.multitenant.reload('acme')
  t.equal(await second.read(), 'newest')
})

t.test('only URLs of modules in a folder get a version', async t => {
  const versions = new Map([['file:///tenants/acme/', 2], ['file:///tenants/acme/inner/', 5]])
  const cases: Array<[url: string, parent: string | undefined, expected: string]> = [
    ['file:///tenants/acme/a.mjs', 'file:///app/lib.mjs', 'file:///tenants/acme/a.mjs?tenant-code=2'],
    ['file:///tenants/acme/a.mjs', undefined, 'file:///tenants/acme/a.mjs?tenant-code=2'],
    ['file:///tenants/acme/a.mjs', 'file:///tenants/acme/b.mjs?tenant-code=1', 'file:///tenants/acme/a.mjs?tenant-code=1'],
    ['file:///tenants/acme/a.mjs', 'file:///tenants/acme/b.mjs', 'file:///tenants/acme/a.mjs'],
    ['file:///tenants/acme/inner/a.mjs', undefined, 'file:///tenants/acme/inner/a.mjs?tenant-code=5'],
    ['file:///tenants/acme/a.mjs?changed=7', undefined, 'file:///tenants/acme/a.mjs?changed=7&tenant-code=2'],
    ['file:///tenants/acme-other/a.mjs', undefined, 'file:///tenants/acme-other/a.mjs'],
    ['file:///tenants/globex/a.mjs', 'file:///tenants/acme/b.mjs?tenant-code=1', 'file:///tenants/globex/a.mjs'],
    ['file:///tenants/acme/node_modules/a/index.mjs', 'file:///tenants/acme/b.mjs?tenant-code=1', 'file:///tenants/acme/node_modules/a/index.mjs'],
    ['node:fs', 'file:///tenants/acme/b.mjs?tenant-code=1', 'node:fs'],
    ['data:text/javascript,0', undefined, 'data:text/javascript,0']
  ]
  for (const [url, parent, expected] of cases) t.equal(versionedUrl(versions, url, parent), expected, `${url} from ${parent}`)
})

t.test('module hooks read code again in every version of Node', async t => {
  await t.test("hooks run in Node's own thread, where Node supports that", async t => {
    type Hooks = Parameters<NonNullable<NonNullable<ConstructorParameters<typeof ModuleReloader>[0]>['registerHooks']>>[0]
    const dir = await realpath(t.testdir({ 'a.js': '' }))
    let hooks: Hooks | undefined
    let registered = 0
    const freshCode = new ModuleReloader({
      registerHooks: given => {
        hooks = given
        registered++
        return { deregister: () => { registered-- } }
      }
    })
    const url = pathToFileURL(join(dir, 'a.js')).href
    const resolve = (parentURL: string): string | undefined => hooks?.resolve('./a.js', { parentURL, conditions: [], importAttributes: {} } as never, () => ({ url })).url
    await freshCode.refresh(dir)
    await freshCode.refresh(dir)
    t.equal(registered, 1)
    t.equal(resolve('file:///elsewhere/autoload.js'), `${url}?tenant-code=2`)
    t.equal(resolve(`${url}?tenant-code=1`), `${url}?tenant-code=1`, 'what is imported late is of the version of what imports it')
    freshCode.close()
    t.equal(registered, 0)
  })

  await t.test('hooks run in a separate thread', async t => {
    const dir = await realpath(t.testdir({ 'a.mjs': 'export const time = process.hrtime.bigint()' }))
    const read = async (): Promise<unknown> => (await importModule(join(dir, 'a.mjs')))['time']
    const freshCode = new ModuleReloader({})
    const first = await read()
    t.equal(await read(), first)
    await mkdir(join(dir, 'nested'))
    await Promise.all([freshCode.refresh(dir), freshCode.refresh(join(dir, 'nested'))])
    t.not(await read(), first)
    freshCode.close()
  })
})
