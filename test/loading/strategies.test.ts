import { createHash } from 'node:crypto'
import { readFile, readdir, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { S3Client } from '@aws-sdk/client-s3'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import multitenant, { FileStrategy, NpmStrategy, PluginLoadingStrategy, PluginManager } from '../../index.ts'
import { emptyApp } from '../fixtures/http/app.ts'
import type { FastifyInstance } from 'fastify'
import type { MultitenantOptions, PluginContext } from '../../index.ts'

/** Registers a plugin that adds its reference as a decorator, and records its calls. */
class SpyStrategy extends PluginLoadingStrategy {
  readonly calls: unknown[][] = []

  override async loadPlugin (app: FastifyInstance, reference: string, options: object, context: PluginContext): Promise<string> {
    this.calls.push([reference, Object.keys(options), context])
    app.decorate(reference, 'loaded')
    return 'the plugin'
  }
}

/** Acts as a plugin of the app, which gets the app while it boots. */
async function inPlugin<Result> (app: FastifyInstance, work: (app: FastifyInstance) => Promise<Result>): Promise<Result> {
  let result: Result | undefined
  app.register(async app => { result = await work(app) })
  await app.ready()
  return result as Result
}

/** The error with which the load of acme fails. */
async function failure (t: Test, options: MultitenantOptions): Promise<Error> {
  const app: FastifyInstance = emptyApp(t)
  app.register(multitenant, options)
  try {
    await app.ready()
    await app.multitenant.init('acme')
  } catch (error) {
    t.equal((error as { code?: string }).code, 'FST_TENANT_LOAD_FAILED')
    return (error as Error).cause as Error
  }
  throw new Error('The tenant was loaded')
}

t.test('a scheme and a reference name a plugin', async t => {
  const s3 = new SpyStrategy()
  const manager = new PluginManager().addStrategy('s3', s3)
  t.equal(await inPlugin(emptyApp(t), app => manager.load(app, 's3:a:b#c', { a: 1 }, { dir: '/x' })), 'the plugin')
  t.strictSame(s3.calls, [['a:b#c', ['a'], { dir: '/x' }]])

  for (const name of ['ftp:x', 'x', ':x', 's3:', '', 'S3:x', '__proto__:x']) {
    await t.rejects(manager.load(Fastify(), name, {}, { dir: undefined }), {
      code: 'FST_TENANT_SCHEME_UNKNOWN', message: `No strategy loads the plugin '${name}'. The schemes are: file, npm, s3`
    })
  }
})

t.test('a strategy replaces the one of its scheme', async t => {
  const mine = new SpyStrategy()
  const manager = new PluginManager({ file: mine })
  await inPlugin(emptyApp(t), app => manager.load(app, 'file:x', {}, { dir: undefined }))
  t.equal(mine.calls.length, 1)
})

t.test('an invalid strategy is refused at once', async t => {
  class Without {}
  const wrong = (scheme: string, strategy: unknown, message: string): void => {
    t.throws(() => new PluginManager().addStrategy(scheme, strategy as PluginLoadingStrategy), { code: 'FST_TENANT_OPTION_INVALID', message })
  }
  wrong('s3', new Without(), "The option 'loaders.s3' must be a plugin loading strategy: Without has no method loadPlugin")
  wrong('s3', Object.create(null), "The option 'loaders.s3' must be a plugin loading strategy: it has no method loadPlugin")
  wrong('s3', undefined, "The option 'loaders.s3' must be a plugin loading strategy: it has no method loadPlugin")
  wrong('s3', SpyStrategy, "The option 'loaders.s3' must be an instance: new SpyStrategy(…), not the class")
  wrong('S3', new SpyStrategy(), 'The option \'scheme\' must be lower case letters, digits, "+", "-" and ".", a letter first, not \'S3\'')
  wrong(undefined as never, new SpyStrategy(), 'The option \'scheme\' must be lower case letters, digits, "+", "-" and ".", a letter first, not undefined')

  const app = Fastify()
  app.register(multitenant, { tenants: {}, loaders: { s3: {} as PluginLoadingStrategy } })
  await t.rejects(async () => app.ready(), { code: 'FST_TENANT_OPTION_INVALID' })
  await app.close()
})

t.test('an error of a strategy names the plugin', async t => {
  const fail = (cause: unknown): PluginLoadingStrategy => ({ loadPlugin: async () => { throw cause } })
  const cause = new Error('no bucket')
  const message = "The plugin 's3:x' could not be loaded: no bucket"
  for (const thrown of [cause, 'no bucket']) {
    const manager = new PluginManager({ s3: fail(thrown) })
    await t.rejects(manager.load(Fastify(), 's3:x', {}, { dir: undefined }), { code: 'FST_TENANT_PLUGIN_FAILED', message, cause: thrown })
  }
})

t.test('a plugin that its strategy does not wait for loads or fails', async t => {
  const hasty = (plugin: () => Promise<void>): PluginLoadingStrategy => ({ loadPlugin: app => { app.register(plugin) } })
  let ran = false
  const good = new PluginManager({ s3: hasty(async () => { ran = true }) })
  await inPlugin(emptyApp(t), async app => {
    await good.load(app, 's3:x', {}, { dir: undefined })
    t.ok(ran)
  })
  const loaders = { s3: hasty(async () => { throw new Error('broken') }) }
  t.match(await failure(t, { tenants: { acme: { config: { plugins: ['s3:x'] } } }, loaders }), { code: 'FST_TENANT_PLUGIN_FAILED', message: /broken$/ })
})

t.test('the config of a tenant', async t => {
  t.test('names plugins, which load before those of its folder', async t => {
    const spy = new SpyStrategy()
    const dir = t.testdir({
      acme: {
        'config.json': '{ "plugins": ["spy:first", "file:extra/second.mjs"] }',
        extra: { 'second.mjs': 'export default async (app, { config, tenant }) => { app.decorate("second", [app.first, tenant.id, config.id].join(" ")) }' },
        plugins: { 'third.mjs': 'export default async app => { app.decorate("third", app.second) }' }
      }
    })
    const app = emptyApp(t)
    app.register(multitenant, { tenants: dir, loaders: { spy } })
    await app.ready()
    const tenant = await app.multitenant.init('acme')
    t.equal(Reflect.get(tenant.app, 'third'), 'loaded acme acme')
    t.strictSame(spy.calls, [['first', ['tenant', 'config'], { dir: join(dir, 'acme') }]])
    t.notOk(app.hasDecorator('first'), 'they are the tenant\'s own')
  })

  t.test('that names a missing plugin fails only that tenant', async t => {
    const app = emptyApp(t)
    app.register(multitenant, { tenants: { acme: { config: { plugins: ['ftp:x'] } }, globex: {} } })
    app.get('/', async ({ tenantId }) => tenantId)
    const send = async (id: string): Promise<number> => (await app.inject({ url: '/', headers: { 'x-tenant-id': id } })).statusCode
    t.equal(await send('acme'), 503)
    t.equal(await send('globex'), 200)
  })

  t.test('is refused if it names plugins in another way', async t => {
    for (const plugins of ['npm:x', [1], {}, null]) {
      t.match(await failure(t, { tenants: { acme: { config: { plugins } } } }), { code: 'FST_TENANT_CONFIG_INVALID', message: /config\.plugins must be an array/ })
    }
  })

  t.test('may name the tenant, and must not name another', async t => {
    t.match(await failure(t, { tenants: { acme: { config: { id: 'globex' } } } }), { code: 'FST_TENANT_CONFIG_INVALID', message: /config\.id must be/ })
    const app = emptyApp(t)
    app.register(multitenant, { tenants: { acme: { config: { plan: 'pro' } }, globex: { config: { id: 'globex', name: 'Globex' } } } })
    await app.ready()
    const acme = await app.multitenant.init('acme')
    t.match([Reflect.get(acme.config, 'id'), Reflect.get(acme.config, 'name')], ['acme', 'acme'])
    t.equal(JSON.stringify(acme.config), '{"plan":"pro"}', 'what was filled in is not shown')
    const globex = await app.multitenant.init('globex')
    t.equal(JSON.stringify(globex.config), '{"id":"globex","name":"Globex"}')
    t.equal(globex.name, 'Globex')
  })
})

t.test('a tenant that is not active', async t => {
  const send = async (app: FastifyInstance): Promise<number> => (await app.inject({ url: '/', headers: { 'x-tenant-id': 'acme' } })).statusCode

  t.test('is unknown', async t => {
    const app = emptyApp(t)
    app.register(multitenant, { tenants: { acme: { config: { active: false } } } })
    app.get('/', async () => 'here')
    t.equal(await send(app), 404)
    await t.rejects(app.multitenant.init('acme'), { code: 'FST_TENANT_NOT_FOUND' })
    t.match(await app.multitenant.stats(), { active: 0, failed: 0 })
  })

  t.test('is switched by a reload', async t => {
    const config = { active: true }
    const app = emptyApp(t)
    app.register(multitenant, { tenants: { acme: { config: () => ({ ...config }) } } })
    app.get('/', async () => 'here')
    t.equal(await send(app), 200)
    config.active = false
    await t.rejects(app.multitenant.reload('acme'), { code: 'FST_TENANT_NOT_FOUND' })
    t.equal(await send(app), 404)
    config.active = true
    await app.multitenant.reload('acme')
    t.equal(await send(app), 200)
    await app.multitenant.unload('acme')
    t.equal(await send(app), 200, 'it is no longer remembered as unknown')
  })

  t.test('is declared by a boolean', async t => {
    t.match(await failure(t, { tenants: { acme: { config: { active: 'no' } } } }), { code: 'FST_TENANT_CONFIG_INVALID', message: /config\.active must be a boolean/ })
  })
})

t.test('file', async t => {
  const plugin = 'export default async app => { app.decorate("loaded", true) }'
  const outer = t.testdir({
    'outside.mjs': plugin,
    '..hidden': {},
    project: { 'good.mjs': plugin, '..odd.mjs': plugin, 'none.mjs': 'export default 1', link: t.fixture('symlink', '../outside.mjs') }
  })
  const dir = join(outer, 'project')
  const load = (reference: string, context: PluginContext = { dir }): Promise<boolean> => inPlugin(emptyApp(t), async app => {
    await new FileStrategy().loadPlugin(app, reference, {}, context)
    return app.hasDecorator('loaded')
  })

  for (const reference of ['good.mjs', './good.mjs', '..odd.mjs', join(dir, 'good.mjs')]) t.ok(await load(reference), reference)
  for (const reference of ['../outside.mjs', 'link', '../..', '..', join(outer, 'outside.mjs')]) {
    await t.rejects(load(reference), { message: 'The file must be below the folder' }, reference)
  }
  await t.rejects(load('missing.mjs'), { code: 'ENOENT' })
  await t.rejects(load('none.mjs'), { message: 'The default export must be a plugin' })
  await t.rejects(load('good.mjs', { dir: undefined }), { message: 'A file plugin needs a folder to resolve its path from' })
})

t.test('npm', async t => {
  const root = t.testdir({
    'package.json': '{}',
    'outside.mjs': 'export default async () => {}',
    tenants: { acme: {} },
    node_modules: {
      audit: {
        'package.json': '{ "name": "audit", "type": "module", "exports": { ".": { "import": "./index.js" }, "./more": "./more.js" } }',
        'index.js': 'export default async app => { app.decorate("loaded", "audit") }',
        'more.js': 'export default async app => { app.decorate("loaded", "more") }'
      },
      '@acme': { log: { 'package.json': '{ "main": "lib.cjs" }', 'lib.cjs': 'module.exports = (app, options, done) => { app.decorate("loaded", "log"); done() }' } }
    }
  })
  const load = (reference: string, context: PluginContext = { dir: join(root, 'tenants/acme') }): Promise<unknown> => inPlugin(emptyApp(t), async app => {
    await new NpmStrategy({ root }).loadPlugin(app, reference, {}, context)
    return Reflect.get(app, 'loaded')
  })

  t.equal(await load('audit'), 'audit')
  t.equal(await load('audit/more'), 'more')
  t.equal(await load('@acme/log'), 'log')
  t.equal(await load('audit', { dir: undefined }), 'audit', 'a tenant without a folder has the packages of the project')
  await t.rejects(load('hooli'), { code: 'FST_TENANT_PACKAGE_INVALID', message: "The package 'hooli' is not installed" })
  await t.rejects(load('fs'), { code: 'FST_TENANT_PACKAGE_INVALID' })
  await t.rejects(load('audit/secret'), { code: 'ERR_PACKAGE_PATH_NOT_EXPORTED' })
  for (const reference of ['./outside.mjs', '../x', '/etc/x', 'file:///x', 'data:text/javascript,', '@acme/log/../../../outside.mjs', '@acme', '', '.', '..', 'node:fs']) {
    await t.rejects(load(reference), { message: 'It is not a package name' }, reference)
  }
  t.ok(new NpmStrategy(), 'its root is the working directory, when none is named')
})

interface Bucket { client: S3Client, publish (key: string, code: string): Promise<string> }

/** A real S3 server with a bucket. */
async function openBucket (t: Test): Promise<Bucket> {
  const { default: S3rver } = await import(String('s3rver'))
  const { publishPlugin } = await import(String(new URL('../../example/s3/publish.js', import.meta.url)))
  const s3 = new S3rver({ port: 0, silent: true, directory: t.testdir(), configureBuckets: [{ name: 'plugins' }] })
  const client = clientOf(t, (await s3.run()).port)
  t.teardown(() => s3.close())
  return { client, publish: (key, code) => publishPlugin(client, 'plugins', key, code) }
}

function clientOf (t: Test, port: number): S3Client {
  const credentials = { accessKeyId: 'S3RVER', secretAccessKey: 'S3RVER' }
  const client = new S3Client({ endpoint: `http://127.0.0.1:${port}`, region: 'us-east-1', forcePathStyle: true, maxAttempts: 1, credentials })
  t.teardown(() => client.destroy())
  return client
}

t.test('the example on S3', async t => {
  const { S3PluginStrategy } = await import(String(new URL('../../example/s3/s3-strategy.js', import.meta.url)))
  const code = 'export default async (app, { tenant }) => { app.get("/", async () => "from S3 for " + tenant.id) }'
  const { client, publish } = await openBucket(t)
  const reference = await publish('acme/extra.mjs', code)
  const tenants = { acme: { config: { plugins: [reference] } } }
  const loadersOf = (given: object): MultitenantOptions['loaders'] => ({ s3: new S3PluginStrategy({ client, bucket: 'plugins', ...given }) })
  const hash = createHash('sha256').update(code).digest('hex')

  t.test('loads the plugin for the tenant, and caches it', async t => {
    const cacheDir = join(t.testdir(), 'cache')
    const answer = async (given: object): Promise<string> => {
      const app = emptyApp(t)
      app.register(multitenant, { tenants, loaders: loadersOf({ cacheDir, ...given }) })
      return (await app.inject({ url: '/', headers: { 'x-tenant-id': 'acme' } })).body
    }
    t.equal(await answer({}), 'from S3 for acme')
    t.strictSame(await readdir(cacheDir), [`${hash}.mjs`])
    const offline = clientOf(t, 1)
    t.equal(await answer({ client: offline }), 'from S3 for acme', 'without the server')

    await writeFile(join(cacheDir, `${hash}.mjs`), 'export default async () => { throw new Error("changed") }')
    t.equal(await answer({}), 'from S3 for acme', 'what has been changed in the cache is not used')
    t.equal(await readFile(join(cacheDir, `${hash}.mjs`), 'utf8'), code)
  })

  t.test('loads nothing with a wrong or missing hash', async t => {
    const cacheDir = join(t.testdir(), 'cache')
    const wrong = reference.replace(/.{8}$/, '00000000')
    for (const [plugin, message] of [
      [wrong, `The plugin '${wrong}' could not be loaded: The content of acme/extra.mjs is not what the hash says`],
      ['s3:acme/extra.mjs', "The plugin 's3:acme/extra.mjs' could not be loaded: It must end in #sha256- and the hash of the content"],
      [reference.replace('extra', 'nothing'), /NoSuchKey|does not exist/]
    ] as const) {
      const error = await failure(t, { tenants: { acme: { config: { plugins: [plugin] } } }, loaders: loadersOf({ cacheDir }) })
      t.match(error, { code: 'FST_TENANT_PLUGIN_FAILED', message })
    }
    await t.rejects(readdir(cacheDir), { code: 'ENOENT' }, 'nothing of it is kept')
  })

  t.test('refuses a plugin that is too large', async t => {
    const error = await failure(t, { tenants, loaders: loadersOf({ cacheDir: t.testdir(), maxBytes: 10 }) })
    t.match(error, { message: /acme\/extra\.mjs is larger than 10 bytes$/ })
  })

  t.test('refuses a plugin that arrives incomplete', async t => {
    const cacheDir = join(t.testdir(), 'cache')
    const server = createServer((_request, reply) => {
      reply.writeHead(200, { 'content-length': code.length })
      reply.write(code.slice(0, 20), () => reply.destroy())
    })
    const cut = clientOf(t, await listen(t, server))
    t.match(await failure(t, { tenants, loaders: loadersOf({ cacheDir, client: cut }) }), { code: 'FST_TENANT_PLUGIN_FAILED', message: /^The plugin 's3:acme\/extra\.mjs#sha256-/ })
    await t.rejects(readdir(cacheDir), { code: 'ENOENT' })
  })

  t.test('fails if the cache cannot be read', async t => {
    const cacheDir = join(t.testdir({ cache: '' }), 'cache')
    t.match(await failure(t, { tenants, loaders: loadersOf({ cacheDir }) }), { cause: { code: 'ENOTDIR' } })
  })
})

async function listen (t: Test, server: Server): Promise<number> {
  await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => new Promise(resolve => server.close(resolve)))
  return (server.address() as AddressInfo).port
}
