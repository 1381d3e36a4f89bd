import { once } from 'node:events'
import { request } from 'node:http'
import { connect, createServer, type AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import { PassThrough } from 'node:stream'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { FST_TENANT_SERVER_NOT_STARTED, MultiTenantServer, PluginLoadingStrategy } from '../../index.ts'
import { startServer } from '../fixtures/server/child.ts'
import type { FastifyInstance } from 'fastify'
import type { ServerConfig } from '../../index.ts'

const QUIET = { port: 0, logLevel: 'silent' } as const
type Content = Record<string, NonNullable<Parameters<Test['testdir']>[0]>>

/** A project with these core plugins, and the tenant acme. */
function project (t: Test, plugins: Content = {}, tenants: Content = { acme: {} }): string {
  return t.testdir({ src: { plugins, tenants } })
}

/** A core plugin that records its load. */
function noting (name: string): Content {
  return { 'index.mjs': `export default async app => { globalThis.loaded.push('${name}') }` }
}

function makeServer (t: Test, root: string, config: ServerConfig = {}): MultiTenantServer {
  const server = new MultiTenantServer({ root, server: QUIET, ...config })
  t.teardown(() => server.stop().catch(error => { if (!(error instanceof FST_TENANT_SERVER_NOT_STARTED)) throw error }))
  return server
}

/** The number of listeners for signals and uncaught errors. */
function listeners (): number[] {
  return ['SIGINT', 'SIGTERM', 'uncaughtException', 'unhandledRejection'].map(event => process.listenerCount(event))
}

t.test('core plugins', async t => {
  const loaded: string[] = []
  Reflect.set(globalThis, 'loaded', loaded)
  t.beforeEach(() => { loaded.length = 0 })

  t.test('load in the configured order, then by name', async t => {
    const root = project(t, { auth: noting('auth'), cache: noting('cache'), database: noting('database'), zebra: noting('zebra'), '.git': {}, node_modules: {} })
    await makeServer(t, root, { plugins: { coreOrder: ['zebra', 'database', 'zebra'] } }).start()
    t.strictSame(loaded, ['zebra', 'database', 'auth', 'cache'])
  })

  t.test('are the modules of their folder', async t => {
    const root = project(t, {
      one: { 'index.mjs': noting('one')['index.mjs']!, 'helper.mjs': noting('helper')['index.mjs']!, lib: { 'deep.mjs': noting('deep')['index.mjs']! } },
      two: { 'a.mjs': noting('a')['index.mjs']!, 'b.mjs': noting('b')['index.mjs']! }
    })
    await makeServer(t, root).start()
    t.strictSame(loaded, ['one', 'a', 'b'])
  })

  t.test('decorate the app, its tenants and later plugins', async t => {
    const root = project(t, {
      b: { 'index.mjs': 'export default async app => { app.decorate("b", app.a + 1) }' },
      a: { 'index.mjs': 'export default async app => { app.decorate("a", 1) }' }
    }, { acme: { routes: { 'index.mjs': 'export default async app => { app.get("/", async () => app.b) }' } } })
    const app = await makeServer(t, root).start()
    t.equal(Reflect.get(app, 'b'), 2)
    t.equal((await app.inject({ url: '/', headers: { 'x-tenant-id': 'acme' } })).body, '2')
  })

  t.test('may also be packages, and named by scheme', async t => {
    class Noting extends PluginLoadingStrategy {
      override loadPlugin (_app: FastifyInstance, reference: string): void {
        loaded.push(`s3 ${reference}`)
      }
    }
    const root = t.testdir({
      'package.json': '{ "dependencies": { "my-plugin-b": "1", "my-plugin-a": "1", "other": "1" } }',
      'late.mjs': noting('file')['index.mjs']!,
      node_modules: Object.fromEntries(['my-plugin-a', 'my-plugin-b', 'other'].map(name => [name, { 'package.json': '{ "main": "index.mjs" }', ...noting(name) }])),
      src: { plugins: { core: noting('core') }, tenants: {} }
    })
    const server = makeServer(t, root, { plugins: { npmPattern: 'my-plugin-*', load: ['s3:x', 'file:late.mjs', 'npm:other'] } })
    server.pluginManager.addStrategy('s3', new Noting())
    await server.start()
    t.strictSame(loaded, ['core', 'my-plugin-a', 'my-plugin-b', 's3 x', 'file', 'other'])
  })

  t.test('cause a warning if they are named and missing, or if they are files', async t => {
    const stream = new PassThrough()
    const loggerInstance = pino(stream)
    await makeServer(t, project(t, { 'cors.mjs': '' }), { plugins: { coreOrder: ['database'] }, fastify: { loggerInstance } }).start()
    const lines = String(stream.read()).trim().split('\n').map(line => JSON.parse(line))
    t.match(lines, [
      { level: 40, file: 'cors.mjs', msg: 'this file is not loaded: a core plugin must be a folder' },
      { level: 40, plugin: 'database', msg: 'coreOrder names a core plugin without a folder' }
    ])
  })

  const dependent = (name: string, ...dependencies: string[]): Content => ({
    'index.mjs': `import fp from ${JSON.stringify(import.meta.resolve('fastify-plugin'))}
      export default fp(async () => { globalThis.loaded.push('${name}') }, ${JSON.stringify({ name: `the-${name}`, dependencies: dependencies.map(each => `the-${each}`) })})`
  })

  t.test('load after the plugins that they depend on', async t => {
    const plugins = { audit: dependent('audit', 'database', 'auth'), auth: dependent('auth', 'database'), database: dependent('database'), zebra: noting('zebra') }
    await makeServer(t, project(t, plugins)).start()
    t.strictSame(loaded, ['database', 'auth', 'audit', 'zebra'])
    loaded.length = 0
    await makeServer(t, t.testdir({ src: { plugins, tenants: {} } }), { plugins: { coreOrder: ['zebra', 'auth'] } }).start()
    t.strictSame(loaded, ['zebra', 'database', 'auth', 'audit'], 'where coreOrder says another order too')
  })

  t.test('in one folder may depend on each other', async t => {
    const root = project(t, { one: { 'a.mjs': dependent('a', 'b')['index.mjs']!, 'b.mjs': dependent('b')['index.mjs']! } })
    await makeServer(t, root).start()
    t.strictSame(loaded, ['b', 'a'])
  })

  t.test('need no folder', async t => {
    await makeServer(t, t.testdir({ src: { tenants: {} } })).start()
  })
})

t.test('an invalid setting keeps a server from starting, and leaves nothing open', async t => {
  const before = listeners()
  const fail = async (root: string, error: { code: string, message?: string | RegExp, cause?: object }, config: ServerConfig = {}): Promise<void> => {
    const server = new MultiTenantServer({ root, server: QUIET, ...config })
    let closed = false
    server.app.addHook('onClose', async () => { closed = true })
    await t.rejects(server.start(), error)
    t.ok(closed)
    t.equal(server.app.server.listening, false)
    t.strictSame(listeners(), before)
    await server.stop()
  }
  const failed = 'FST_TENANT_PLUGIN_FAILED'
  await fail(project(t, { db: { 'index.mjs': 'export default async () => { throw new Error("no database") }' } }), {
    code: failed, message: "The plugin 'db' could not be loaded: db/index.mjs: no database"
  })
  await fail(project(t, { throws: { 'index.cjs': 'module.exports = (app, options, done) => { throw new Error("at once") }' } }), { code: failed, message: /at once \(at throws\/index\.cjs:1\)$/ })
  await fail(project(t, { syntax: { 'index.mjs': '}' } }), { code: failed, cause: { cause: { name: 'SyntaxError' } } })
  const fp = (dependency: string, name: string): Content => ({
    'index.mjs': `import fp from ${JSON.stringify(import.meta.resolve('fastify-plugin'))}\nexport default fp(async () => {}, { name: '${name}', dependencies: ['${dependency}'] })`
  })
  await fail(project(t, { auth: fp('database', 'auth') }), {
    code: failed, message: /^The plugin 'auth' could not be loaded: auth\/index\.mjs: The dependency 'database' of plugin 'auth' is not registered/
  })
  await fail(project(t, { a: fp('c', 'a'), b: fp('a', 'b'), c: fp('b', 'c') }), {
    code: failed, message: "The plugin 'a' could not be loaded: these folders depend on each other in a circle: a, c, b, a"
  })
  await fail(t.testdir({ src: { tenants: {}, plugins: '' } }), { code: 'ENOTDIR' })
  await fail(project(t), { code: 'FST_TENANT_SCHEME_UNKNOWN', message: "No strategy loads the plugin 's3:x'. The schemes are: file, npm" }, { plugins: { load: ['s3:x'] } })
  await fail(project(t), { code: failed, message: "The plugin 'npm:nothing' could not be loaded: The package 'nothing' is not installed" }, { plugins: { load: ['npm:nothing'] } })
  await fail(t.testdir({}), { code: 'FST_TENANT_OPTION_INVALID', message: /'tenants' must be a folder that exists/ })
})

t.test('a port that is taken', async t => {
  const other = createServer().listen(0, '127.0.0.1')
  await once(other, 'listening')
  t.teardown(() => other.close())
  const { port } = other.address() as AddressInfo
  const before = listeners()
  const server = makeServer(t, project(t), { server: { port, host: '127.0.0.1', logLevel: 'silent' } })
  await t.rejects(server.start(), {
    code: 'FST_TENANT_LISTEN_FAILED', message: `The server cannot listen on 127.0.0.1 port ${port}`, cause: { code: 'EADDRINUSE' }
  })
  t.strictSame(listeners(), before)
  await t.rejects(server.start(), { code: 'FST_TENANT_SERVER_STARTED' }, 'a Fastify app cannot be opened again')
})

t.test('the log', async t => {
  const levelOf = (fastify: ServerConfig['fastify']): string => new MultiTenantServer({ root: t.testdir(), server: { logLevel: 'warn' }, fastify }).app.log.level
  t.equal(levelOf({}), 'warn')
  t.equal(levelOf({ logger: true }), 'warn')
  t.equal(levelOf({ logger: { name: 'mine' } }), 'warn', 'a logger that is configured keeps the level')
  t.equal(levelOf({ logger: { level: 'debug' } }), 'debug')
  t.equal(levelOf({ loggerInstance: pino({ level: 'fatal' }) }), 'fatal')
  t.equal(levelOf({ logger: false }), undefined)
})

t.test('start and stop', async t => {
  t.test('twice', async t => {
    const before = listeners()
    const server = makeServer(t, project(t))
    const starting = server.start()
    await t.rejects(server.start(), { code: 'FST_TENANT_SERVER_STARTED' })
    t.equal(await starting, server.app)
    await Promise.all([server.stop(), server.stop()])
    await server.stop()
    t.strictSame(listeners(), before)
    await t.rejects(server.start(), { code: 'FST_TENANT_SERVER_STARTED', message: 'A server can be started only once, and only by start(): create a new one' })
  })

  t.test('in the wrong order fail', async t => {
    const server = makeServer(t, project(t))
    const notStarted = { code: 'FST_TENANT_SERVER_NOT_STARTED', message: 'The server has not been started: call start() first' }
    await t.rejects(server.stop(), notStarted)
    await t.rejects(server.initTenant('acme'), notStarted)
    await t.rejects(server.reloadTenant('acme'), notStarted)
    await t.rejects(server.tenantManager.reloadTemplate('standard'), notStarted)
    await t.rejects(server.getTenantStats(), notStarted)
    t.throws(() => server.tenantManager.get('acme'), notStarted)
    await server.start()
    t.ok(server.app.server.listening)
  })

  t.test('while it starts', async t => {
    const server = makeServer(t, project(t))
    const starting = server.start()
    await server.stop()
    await starting
    t.equal(server.app.server.listening, false)
  })

  t.test('work for an app that was made ready, or closed, directly', async t => {
    const before = listeners()
    for (const end of ['ready', 'close'] as const) {
      const server = makeServer(t, project(t))
      await server.app[end]()
      await t.rejects(server.start(), { code: 'FST_TENANT_SERVER_STARTED', cause: Error }, end)
    }
    t.strictSame(listeners(), before)
  })

  t.test('an app that is closed directly removes its signal listeners too', async t => {
    const before = listeners()
    const app = await makeServer(t, project(t)).start()
    t.not(listeners()[0], before[0])
    await app.close()
    t.strictSame(listeners(), before)
  })
})

t.test('tenants', async t => {
  const server = makeServer(t, project(t, {}, { acme: {}, globex: {} }))
  await server.start()
  const { tenantManager: tenants, app } = server
  const acme = await tenants.init('acme')
  t.equal(tenants.get('acme'), acme)
  t.equal(app.multitenant.get('acme'), acme, 'they are those of the plugin')
  t.equal(await tenants.run('acme', tenant => tenant), acme)
  t.equal((await tenants.preload('globex')).id, 'globex')
  t.strictSame(await tenants.list(), ['acme', 'globex'])
  t.equal((await tenants.reload('acme', { code: false })).generation, 2)
  t.match(await tenants.stats({ limit: 1 }), { active: 2, total: 2, tenants: [{ id: 'acme' }] })
  t.match(await tenants.unload('globex'), { drained: true })
  await tenants.suspend('acme')
  await t.rejects(tenants.init('acme'), { code: 'FST_TENANT_SUSPENDED' })
  tenants.resume('acme')
  await tenants.init('acme')
})

/** A tenant with code of its own: others have no scope, and `maxResident` counts them. */
const withCode = (): Content => ({ 'index.mjs': 'export default async () => {}' })

t.test('no more than maxConcurrentTenants tenants with code of their own stay loaded', async t => {
  const server = makeServer(t, project(t, {}, { acme: withCode(), globex: withCode() }), { tenants: { maxConcurrent: 1 } })
  await server.start()
  await server.initTenant('acme')
  await server.initTenant('globex')
  t.match(await server.getTenantStats(), { active: 1, total: 2 })
})

t.test('the identification strategy', async t => {
  const from = (header: string): { extractTenantId (request: { headers: object }): string } => ({ extractTenantId: ({ headers }) => Reflect.get(headers, header) })
  const started = async (t: Test, config: ServerConfig = {}, prepare = (_server: MultiTenantServer): void => {}): Promise<MultiTenantServer> => {
    const server = makeServer(t, project(t, {}, { acme: {}, globex: {} }), config)
    server.app.get('/id', async ({ tenantId }) => tenantId ?? '')
    prepare(server)
    await server.start()
    return server
  }
  const headers = { 'x-tenant-id': 'acme', other: 'globex' }
  const body = async ({ app }: MultiTenantServer, url = '/id'): Promise<string> => (await app.inject({ url, headers })).body

  t.test('is the header by default', async t => {
    t.equal(await body(await started(t)), 'acme')
  })

  t.test('may be set before and after the start, and the last one wins', async t => {
    const server = await started(t, {}, ({ tenantManager }) => {
      tenantManager.setIdentificationStrategy('query')
      tenantManager.setIdentificationStrategy(from('other'))
    })
    t.equal(await body(server), 'globex')
    server.tenantManager.setIdentificationStrategy(from('x-tenant-id'))
    t.equal(await body(server), 'acme')
  })

  t.test('may be configured', async t => {
    const server = await started(t, { multitenant: { identify: 'subdomain', baseDomain: 'example.com' } })
    t.equal((await server.app.inject({ url: '/id', headers: { host: 'globex.example.com' } })).body, 'globex')
  })

  t.test('gets the configured domain if it is set before the start', async t => {
    const server = await started(t, { multitenant: { identify: 'subdomain', baseDomain: 'example.com' } }, ({ tenantManager }) => {
      tenantManager.setIdentificationStrategy(['query', 'subdomain'])
    })
    t.equal((await server.app.inject({ url: '/id?tenant=acme', headers: { host: 'globex.example.com' } })).body, 'acme')
  })

  t.test('is refused at once if it is invalid', async t => {
    const server = makeServer(t, project(t))
    class Without {}
    for (const moment of ['before', 'after']) {
      t.throws(() => server.tenantManager.setIdentificationStrategy(new Without() as never), { code: 'FST_TENANT_OPTION_INVALID', message: /Without has no method extractTenantId/ }, moment)
      if (moment === 'before') await server.start()
    }
  })
})

t.test('ids outside the pattern', async t => {
  const tenants = { 'Ärzte & Söhne': { 'config.json': '{ "plan": "pro" }' }, acme: {}, '.hidden': {} }
  const send = async (server: MultiTenantServer, id: string): Promise<number> => {
    if (!server.app.server.listening) await server.start()
    return (await server.app.inject({ url: '/id', headers: { 'x-tenant-id': id } })).statusCode
  }
  const make = (t: Test, validateInputs: boolean): MultiTenantServer => {
    const server = makeServer(t, project(t, {}, tenants), { security: { validateInputs } })
    server.app.get('/id', async ({ tenant }) => tenant?.config)
    return server
  }
  const traversals = ['../plugins', '..', '.', '/etc', 'acme/../acme', './acme', 'acme/', '.hidden', 'node_modules', '\0', '%2e%2e']

  t.test('are refused', async t => {
    const server = make(t, true)
    for (const id of ['Ärzte & Söhne', ...traversals.filter(id => id !== 'node_modules')]) t.equal(await send(server, id), 400, JSON.stringify(id))
    await t.rejects(server.initTenant('Ärzte & Söhne'), { code: 'FST_TENANT_NOT_FOUND' })
  })

  t.test('are accepted with validateInputs: false, and still lead to no path', async t => {
    const server = make(t, false)
    t.equal(await send(server, 'Ärzte & Söhne'), 200)
    t.equal(await send(server, 'acme'), 200)
    for (const id of traversals) t.equal(await send(server, id), 404, JSON.stringify(id))
    t.equal(await send(server, 'x'.repeat(256)), 400)
    t.equal(await send(server, ''), 400)
  })
})

t.test('signals', async t => {
  const root = project(t, {}, { acme: { routes: { 'index.mjs': 'export default async app => { app.post("/", async ({ body }) => body) }' } } })

  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    t.test(`${signal} finishes the running requests and ends the process`, async t => {
      const server = await startServer(t, [], root, { PORT: '0' })
      // The server sends "continue" when it has the request and only waits for the body.
      const slow = request(server.url, { method: 'POST', headers: { 'x-tenant-id': 'acme', 'content-type': 'application/json', expect: '100-continue' } })
      slow.flushHeaders()
      await once(slow, 'continue')
      const answered = once(slow, 'response').then(async ([response]) => json(response))
      const ended = server.end(signal)
      await refused(Number(new URL(server.url).port))
      slow.end('{ "late": true }')
      t.strictSame(await answered, { late: true })
      t.match(await ended, { code: 0, signal: null, stdout: new RegExp(`"signal":"${signal}","msg":"closing"`) })
    })
  }

  t.test('an uncaught error ends the process in the same way, with an exit code', async t => {
    const late = "app.get('/late', { config: { tenant: 'ignore' } }, async () => { setImmediate(() => { throw new Error('late') }) })"
    const server = await startServer(t, ['--port', '0'], project(t, { broken: { 'index.mjs': `export default async app => { ${late} }` } }))
    await fetch(`${server.url}/late`)
    t.match(await server.end(), { code: 1, signal: null, stdout: /"message":"late".+closing after an uncaught error/ })
  })
})

/** Waits until nothing accepts connections at the port any more. */
async function refused (port: number): Promise<void> {
  for (;;) {
    const socket = connect(port, 'localhost')
    const open = await once(socket, 'connect').then(() => true, () => false)
    socket.destroy()
    if (!open) return
  }
}
