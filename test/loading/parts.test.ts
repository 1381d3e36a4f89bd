import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import autoload from '@fastify/autoload'
import Fastify from 'fastify'
import t from 'tap'
import { importModule } from '../../lib/loading/modules/modules.ts'
import { LogLines } from '../fixtures/lifecycle/app.ts'
import { fail, folder, get, load, makeApp } from '../fixtures/loading/load.ts'
import { FIXTURES } from '../fixtures/loading/dir.ts'
import type { FastifyInstance } from 'fastify'
import type { LoadingOptions } from '../../lib/loading/load-code.ts'
import type { FixtureDirContent } from '../fixtures/loading/load.ts'

t.test('a plugin that throws before it returns does not end the process', async t => {
  const thrower = (): void => { throw new Error('at once') }
  const registers = (plugin: unknown) => async (scope: FastifyInstance): Promise<void> => { scope.register(plugin as never) }
  const error = { message: 'at once' }
  t.match(await fail(t, { plugin: thrower }), error)
  t.match(await fail(t, { plugin: registers(thrower) }), error)
  t.match(await fail(t, { plugin: registers({ default: thrower }) }), error)
  t.match(await fail(t, { plugin: registers(Promise.resolve({ default: thrower })) }), error)
  t.match(await fail(t, { plugin: registers(registers(thrower)) }), error, 'in a child')

  const mixed = async (_app: unknown, _options: unknown, _done: unknown): Promise<void> => {}
  t.match(await fail(t, { plugin: registers(mixed) }), { code: 'FST_ERR_PLUGIN_INVALID_ASYNC_HANDLER' }, 'what Fastify refuses it still refuses')
  for (const wrong of ['no plugin', {}, null, undefined]) {
    t.match(await fail(t, { plugin: registers(wrong) }), { code: 'FST_ERR_PLUGIN_NOT_VALID' })
  }
})

t.test('schemas', async t => {
  t.test('may be written in several ways', async t => {
    const dir = folder(t, {
      schemas: {
        'user.json': '{ "type": "object" }',
        'named.json': '{ "$id": "https://example.com/named", "$ref": "user#" }',
        'order.mjs': "export default { type: 'object', properties: { id: { type: 'integer' } } }",
        'list.mjs': "export default [{ $id: 'a', type: 'string' }, { $id: 'b', type: 'string' }]",
        'only.mjs': "export default [{ type: 'string' }]",
        'both.mjs': "export default { type: 'string' }\nexport const left = { type: 'string' }\nexport const right = { $id: 'r', enum: [1] }",
        'single.mjs': "export const anything = { type: 'string' }",
        'many.cjs': "exports.one = { type: 'string' }; exports.two = { type: 'string' }",
        'common.cjs': "const type = 'object'; const properties = {}; module.exports = { type, properties }",
        'built.mjs': "export default { prop () {}, valueOf: () => ({ type: 'string' }) }",
        nested: { 'deep.json': '{ "type": "null" }' },
        'README.md': '',
        'x.d.ts': '',
        'x.test.js': 'throw new Error()',
        '.hidden.json': '{',
        node_modules: { 'x.json': '{' }
      }
    })
    const { scope, app } = await load(t, dir)
    t.same(Object.keys(scope.getSchemas()).sort(), [
      'a', 'b', 'both', 'built', 'common', 'deep', 'https://example.com/named', 'left', 'one', 'only', 'order', 'r', 'single', 'two', 'user'
    ])
    t.same(app.getSchemas(), {})
  })

  t.test('are not modified, so that tenants may share them', async t => {
    const dir = folder(t, { 'index.mjs': "import schema from './schemas/user.mjs'\nexport const name = Object.keys(schema).join()", schemas: { 'user.mjs': "export default { type: 'object' }" } })
    await load(t, { id: 'one', dir })
    const { tenant, scope } = await load(t, { id: 'two', dir })
    t.equal(tenant.name, 'type')
    t.match(scope.getSchema('user'), { $id: 'user' })
  })

  t.test('are refused by name if they are invalid', async t => {
    const wrong = async (name: string, content: string, message: RegExp | string): Promise<void> => {
      t.match(await fail(t, folder(t, { schemas: { [name]: content } })), { message })
    }
    const noSchema = ": 'user' is not a JSON schema: it needs a type or another keyword"
    const noOther = noSchema.replace('user', 'other')
    await wrong('user.json', '{', /^schemas\/user\.json: /)
    await wrong('user.json', '{}', `schemas/user.json${noSchema}`)
    await wrong('user.json', '{ "title": "User", "$id": "user" }', `schemas/user.json${noSchema}`)
    await wrong('user.json', 'null', `schemas/user.json${noSchema}`)
    await wrong('user.json', '"object"', `schemas/user.json${noSchema}`)
    await wrong('user.json', '[1]', `schemas/user.json${noSchema}`)
    await wrong('user.mjs', "export default { user: { type: 'object' }, other: 1 }", `schemas/user.mjs${noSchema}`)
    await wrong('user.mjs', "export default { type: 'object' }\nexport const other = 1", `schemas/user.mjs${noOther}`)
    await wrong('user.mjs', 'const internal = 1', 'schemas/user.mjs: It does not export a schema')
    await wrong('user.mjs', "export default [{ type: 'string' }, { $id: 'b', type: 'string' }]", 'schemas/user.mjs: Every schema of an array needs an $id')
    await wrong('user.mjs', 'export default {', /^schemas\/user\.mjs: Unexpected/)
  })

  t.test('are refused if two have the same $id', async t => {
    t.match(await fail(t, folder(t, { schemas: { 'a.json': '{ "$id": "x", "type": "string" }', 'b.json': '{ "$id": "x", "type": "number" }' } })), {
      message: "Two different schemas 'x': schemas/a.json and schemas/b.json"
    })
    const twice = "export const x = { $id: 'x', type: 'string' }\nexport default { $id: 'x', type: 'number' }"
    t.match(await fail(t, folder(t, { schemas: { 'a.mjs': twice } })), { message: "Two different schemas 'x': both in schemas/a.mjs" })
  })

  t.test('are refused by name if the app has the $id', async t => {
    const app = makeApp(t).addSchema({ $id: 'user', type: 'object' })
    const dir = folder(t, { schemas: { 'user.json': '{ "type": "object" }' } })
    await t.rejects(load(t, dir, {}, app), { message: /^schemas\/user\.json: Schema with id 'user' already declared/, cause: { code: 'FST_ERR_SCH_ALREADY_PRESENT' } })
  })
})

t.test('the log names files that are not loaded', async t => {
  const log = new LogLines()
  const app = Fastify(log.server)
  t.teardown(() => app.close())
  await load(t, t.testdir({
    plugins: {
      'empty.mjs': '',
      'helper.mjs': 'export const add = (a, b) => a + b',
      'meant.mjs': 'export const autoload = false\nexport const add = (a, b) => a + b',
      'off.mjs': 'export default async () => {}\nexport const autoload = false',
      'plugin.mjs': 'export default async () => {}',
      'options.cjs': 'module.exports = { a: 1 }'
    },
    routes: {
      'route.mjs': 'export default { method: "GET", url: "/", handler: async () => 1 }',
      list: { 'index.mjs': 'export default []' }
    },
    services: { 'data.json': '{}', 'Service.mjs': 'export default { a: 1 }' }
  }), {}, app)
  const plugin = 'this file is not loaded: its default export is neither a plugin nor a route'
  t.match(log.of(plugin), ['plugins/empty.mjs', 'plugins/helper.mjs', 'plugins/options.cjs', 'routes/list/index.mjs'].map(file => ({ level: 40, file })))
  t.equal(log.of(plugin).length, 4)
  t.match(log.of('this file is not loaded: a service must be a module'), [{ level: 40, file: 'services/data.json' }])
})

t.test('the log warns about files that seem meant for a part of the folder', async t => {
  const told = async (content: FixtureDirContent): Promise<unknown[]> => {
    const log = new LogLines()
    const app = Fastify(log.server)
    t.teardown(() => app.close())
    await load(t, folder(t, content), {}, app)
    return log.lines.filter(({ msg }) => String(msg).startsWith("this is not loaded: the tenant's ")).map(({ file }) => file).sort()
  }
  const misnamed = { route: {}, Schemas: {}, 'plugins.js': '', views: {}, 'server.mjs': '', services: {} }
  t.same(await told(misnamed), ['Schemas', 'plugins.js', 'route'])
  t.same(await told({ ...misnamed, 'index.mjs': '' }), ['Schemas', 'route'], 'the index may import the file')
})

t.test('services', async t => {
  t.test('may be written in several ways', async t => {
    const app = makeApp(t).decorate('db', 'db')
    const { tenant } = await load(t, { dir: join(FIXTURES, 'kinds'), config: { plan: 'gold' } }, {}, app)
    t.same(tenant.listServices(), [
      'AsyncFactory', 'Class', 'ClassFactoryHelpers', 'CommonClass', 'CommonNamed', 'Factory', 'Late', 'NamedAsFile', 'Nested', 'OnlyClass', 'OnlyFunction', 'Plain'
    ])
    const made = ['db', { plan: 'gold' }]
    const kinds = { AsyncFactory: 'async factory', Class: 'class', ClassFactoryHelpers: 'class', CommonClass: 'class', CommonNamed: 'class', Factory: 'factory', NamedAsFile: 'named', OnlyClass: 'class', OnlyFunction: 'function', Nested: 'class' }
    for (const [name, kind] of Object.entries(kinds)) {
      t.match(tenant.getService(name), { kind, made }, name)
    }
    t.equal(tenant.getService<{ self: () => unknown }>('Plain').self(), tenant.getService('Plain'))
  })

  t.test('get the arguments of the option, once, and see earlier services', async t => {
    let calls = 0
    const services: LoadingOptions['services'] = ({ app, tenant }) => [{ calls: ++calls, app, tenant, made: Reflect.get(app, 'made') }]
    const dir = folder(t, {
      plugins: { 'made.mjs': "export default async app => { app.decorate('made', 'by a plugin') }" },
      services: {
        'B.mjs': "export default ({ tenant, calls }) => ({ calls, a: tenant.getService('A').name, known: tenant.listServices() })",
        'A.mjs': "export default async ({ calls, made }) => ({ name: 'a', calls, made })"
      }
    })
    const { tenant } = await load(t, dir, { services })
    t.same(tenant.getService('B'), { calls: 1, a: 'a', known: ['A'] })
    t.match(tenant.getService('A'), { made: 'by a plugin' })
    await load(t, folder(t, {}), { services })
    t.equal(calls, 1, 'not asked for without services')
  })

  t.test('are refused by name if they are invalid', async t => {
    const wrong = async (name: string, content: string, expected: object): Promise<void> => {
      t.match(await fail(t, folder(t, { services: { [name]: content } })), expected)
    }
    await wrong('Mail.mjs', "export default class { constructor () { throw new Error('no smtp') } }", { message: 'services/Mail.mjs: no smtp', cause: { message: 'no smtp' } })
    await wrong('Mail.mjs', "export default async () => { throw new Error('no smtp') }", { message: 'services/Mail.mjs: no smtp' })
    await wrong('Mail.mjs', 'export default () => {}', { message: 'services/Mail.mjs: The factory returned undefined' })
    await wrong('Mail.mjs', 'export default class {', { message: /^services\/Mail\.mjs: / })
    await wrong('Mail.mjs', 'const internal = 1', { message: "services/Mail.mjs: No export is the service 'Mail': export it as default or by that name; the exports are none" })
    await wrong('Mail.mjs', 'export default 1', { message: "services/Mail.mjs: No export is the service 'Mail': export it as default or by that name; the exports are default" })
    await wrong('Mail.mjs', 'export class A {}\nexport class B {}\nexport function c () {}', { message: "services/Mail.mjs: No export is the service 'Mail': export it as default or by that name; the exports are A, B, c" })
    await wrong('Mail.mjs', 'export const a = () => 1, b = () => 2', { message: "services/Mail.mjs: No export is the service 'Mail': export it as default or by that name; the exports are a, b" })
  })

  t.test('are named after their folder if they are its index', async t => {
    const mail = 'export default class { name = "mail" }'
    const { tenant } = await load(t, folder(t, { services: { mail: { 'index.mjs': mail, 'smtp.cjs': 'module.exports = { port: 25 }' }, sms: { 'index.mjs': mail } } }))
    t.same(tenant.listServices(), ['mail', 'sms', 'smtp'])
    t.match(await fail(t, folder(t, { services: { 'index.mjs': 'export class A {}\nexport class B {}' } })), { message: /^services\/index\.mjs: No export is the service 'index'/ })
  })

  t.test('are found by name among other classes, however it is written', async t => {
    const others = 'class MailError extends Error {}\nclass MailServiceTest {}\n'
    const { tenant } = await load(t, folder(t, {
      services: {
        'mail-service.mjs': `${others}export { MailError, MailServiceTest }\nexport class MailService { is = 'by name' }`,
        'mailer.cjs': `${others}module.exports = { MailError, MailServiceTest, Mailer: class { is = 'a property' }, mailer: 1 }`
      }
    }))
    t.match(tenant.getService('mail-service'), { is: 'by name' })
    t.match(tenant.getService('mailer'), { is: 'a property' })
  })

  t.test('are refused if two have the same name', async t => {
    t.match(await fail(t, folder(t, { services: { 'Mail.mjs': 'export default {}', old: { 'Mail.cjs': 'module.exports = class {}' } } })), {
      message: "Two services 'Mail': services/Mail.mjs and services/old/Mail.cjs"
    })
  })
})

t.test('plugins', async t => {
  t.test('decorate for the tenant with and without fastify-plugin', async t => {
    const dir = folder(t, {
      plugins: {
        'plain.mjs': "export default async app => { app.decorate('plain', true) }",
        'callback.cjs': "module.exports = (app, options, done) => { app.decorate('callback', options.tenant.id); done() }",
        'sync.mjs': "export default app => { app.decorate('sync', true) }",
        nested: { 'deep.mjs': "export default async app => { app.decorate('deep', app.prefix) }" },
        'twice.mjs': "const plugin = async app => { app.decorate('twice', true) }\nplugin.default = () => {}\nexport default plugin",
        'object.cjs': "module.exports = { default: async app => { app.decorate('object', true) } }",
        'off.mjs': "export const autoload = false\nexport default async () => { throw new Error('off') }",
        'helper.mjs': 'export const helper = 1'
      },
      routes: { 'root.mjs': "export default async app => { app.get('/', async () => [app.plain, app.callback, app.sync, app.deep, app.twice, app.object]) }" }
    })
    const { app } = await load(t, dir)
    t.same(await get(app, '/'), [true, 'acme', true, '', true, true])
    t.notOk(app.hasDecorator('plain'))
  })

  t.test('and routes take the options of the option `autoload`', async t => {
    const file = "export default async (app, { extra, tenant }) => { app.get('/', async () => ({ extra, id: tenant.id })) }"
    const dir = folder(t, { plugins: { 'skip-1.mjs': 'throw new Error()', 'skip-2.mjs': 'throw new Error()', 'a.mjs': '' }, routes: { 'a.mjs': file, skip: { 'b.mjs': 'throw new Error()' } } })
    for (const ignoreFilter of ['skip', /skip/, (path: string) => path.includes('skip')]) {
      const options = { options: { extra: 1 }, ignoreFilter }
      const { app } = await load(t, dir, { autoload: { plugins: options, routes: { ...options, options: { extra: 1, prefix: '/v1', tenant: 'no' } } } })
      t.same(await get(app, '/v1'), { extra: 1, id: 'acme' })
    }
  })

  t.test('and routes name their file when they throw', async t => {
    const ways: Record<string, string> = {
      'async.mjs': "export default async () => { throw new Error('no db') }",
      'callback.mjs': "export default (app, options, done) => { done(new Error('no db')) }",
      'throws.mjs': "export default (app, options, done) => { throw new Error('no db') }",
      'common.cjs': "module.exports = async () => { throw new Error('no db') }",
      'top.mjs': "throw new Error('no db')",
      'below.mjs': "export default async app => { app.register(async () => { throw new Error('no db') }) }"
    }
    const fine = 'export default async () => {}'
    for (const [file, content] of Object.entries(ways)) {
      for (const name of ['plugins', 'routes']) {
        const dir = folder(t, { [name]: { 'a.mjs': fine, z: { 'z.mjs': fine }, deep: { [file]: content } } })
        t.match(await fail(t, dir), { name: 'TenantFileError', message: `${name}/deep/${file}: no db`, cause: { message: 'no db' } })
      }
    }
    t.match(await fail(t, folder(t, { routes: { 'broken.mjs': 'export default {' } })), { message: /^routes\/broken\.mjs: Unexpected/, cause: SyntaxError })
    const dependent = `import fp from ${JSON.stringify(import.meta.resolve('fastify-plugin'))}\nexport default fp(async () => {}, { name: 'x', dependencies: ['missing'] })`
    t.match(await fail(t, folder(t, { plugins: { 'x.mjs': dependent } })), { message: /^plugins\/x\.mjs: The dependency 'missing' of plugin 'x' is not registered/ })
    t.match(await fail(t, folder(t, { plugins: { lib: { 'package.json': '{}' } } })), { message: /^plugins: @fastify\/autoload cannot import plugin/ })
  })

  t.test('of the same name are refused', async t => {
    const named = `import fp from ${JSON.stringify(import.meta.resolve('fastify-plugin'))}\nexport default fp(async () => {}, { name: 'auth' })`
    const other = named.replace('auth', 'other')
    t.match(await fail(t, folder(t, { plugins: { 'a.mjs': named, 'c.mjs': other, b: { 'b.mjs': named } } })), {
      message: /Two plugins 'auth': plugins\/a\.mjs and plugins\/b\/b\.mjs/
    })
  })
})

t.test('routes', async t => {
  t.test('have folder names as prefixes, and may be objects', async t => {
    const dir = folder(t, {
      routes: {
        'root.mjs': "export default { method: 'GET', url: '/object', handler: async () => ({ object: true }) }",
        users: { 'index.mjs': "export default async app => { app.get('/', async () => ({ users: true })) }" }
      }
    })
    const { app } = await load(t, dir)
    t.same(await get(app, '/object'), { object: true })
    t.same(await get(app, '/users'), { users: true })
  })

  t.test('that are objects name their file when they throw', async t => {
    const route = "export default { method: 'GET', url: '/same', handler: async () => ({}) }"
    t.match(await fail(t, folder(t, { routes: { 'a.mjs': route, 'b.mjs': route } })), { message: /^routes\/b\.mjs: Method 'GET' already declared/ })
  })

  t.test('may have autohooks', async t => {
    const dir = folder(t, {
      routes: {
        'autohooks.mjs': "export default async app => { app.decorateRequest('by', '').addHook('onRequest', async request => { request.by = 'hook' }) }",
        'a.mjs': 'const plugin = async (app, { auto }) => { app.get("/a", async request => ({ by: request.by, auto })) }\nplugin.autoConfig = { auto: 1 }\nexport default plugin',
        'c.mjs': "export default { method: 'GET', url: '/c', handler: async request => ({ by: request.by }) }"
      }
    })
    for (const routes of [{}, { cascadeHooks: true }]) {
      const { app } = await load(t, dir, { autoload: { plugins: {}, routes } })
      t.same(await get(app, '/a'), { by: 'hook', auto: 1 })
      t.same(await get(app, '/c'), { by: 'hook' })
    }
  })
})

t.test('autoConfig', async t => {
  const own = (config: string, more = ''): string => `
    const plugin = async (app, options) => { app.get('/own', async () => ({ auto: options.auto ?? null, prefix: app.prefix, id: options.tenant?.id })) }
    plugin.autoConfig = ${config}
    export default plugin
    ${more}`

  t.test('is lost by plain autoload when a file is loaded again', async t => {
    const dir = folder(t, { 'own.mjs': own('{ auto: 1 }') })
    for (const auto of [1, null]) {
      const app = makeApp(t)
      await app.register(autoload, { dir })
      t.match(await get(app, '/own'), { auto })
    }
  })

  t.test('applies to every tenant that shares the folder, at each load', async t => {
    const dir = folder(t, { routes: { 'own.mjs': own('{ auto: 1, id: 2 }') } })
    for (const id of ['one', 'two', 'one']) {
      const { app } = await load(t, { id, dir })
      t.same(await get(app, '/own'), { auto: 1, prefix: '', id })
    }
    const both = await Promise.all([load(t, { id: 'three', dir }), load(t, { id: 'four', dir })])
    for (const { app } of both) t.match(await get(app, '/own'), { auto: 1 })
  })

  t.test('may be a function or a named export, and give a prefix', async t => {
    const answer = async (content: string, url: string, given = {}): Promise<unknown> => {
      const dir = folder(t, { routes: { sub: { 'own.mjs': content } } })
      await load(t, dir, given)
      const { app } = await load(t, dir, given)
      return get(app, url)
    }
    t.same(await answer(own("{ auto: 1, prefix: '/v1/' }"), '/v1/sub/own'), { auto: 1, prefix: '/v1/sub', id: 'acme' })
    t.same(await answer(own('() => ({ auto: 1 })'), '/sub/own'), { auto: 1, prefix: '/sub', id: 'acme' })
    t.same(await answer(own("{ auto: 1, prefix: '/v1' }", "export const prefixOverride = '/x'"), '/x/own'), { auto: 1, prefix: '/x', id: 'acme' })
    t.same(await answer(own("{ auto: 1, prefix: '/v1' }", "plugin.prefixOverride = '/x'"), '/x/own'), { auto: 1, prefix: '/x', id: 'acme' })
    const named = own('undefined', 'export const autoConfig = parent => ({ auto: parent.prefix })')
    t.same(await answer(named, '/sub/own'), { auto: '/sub', prefix: '/sub', id: 'acme' })
    const withPrefix = own("Object.assign(() => ({ auto: 1 }), { prefix: '/v1' })")
    t.same(await answer(withPrefix, '/v1/sub/own'), { auto: 1, prefix: '/v1/sub', id: 'acme' })
    const autoload = { plugins: {}, routes: { options: { prefix: '/v2' } } }
    t.same(await answer(withPrefix, '/v2/sub/own', { autoload }), { auto: 1, prefix: '/v2/sub', id: 'acme' })
  })

  t.test('of two files that export one function is kept apart', async t => {
    const file = (db: string): string => `import library from '../library.mjs'\nlibrary.autoConfig = { db: '${db}' }\nexport default library`
    const dir = folder(t, {
      'library.mjs': 'export default async function library (app, { db }) { app.get("/" + db, async () => ({ db })) }',
      routes: { 'a.mjs': file('a'), 'b.mjs': file('b') }
    })
    const { app } = await load(t, dir)
    t.same(await get(app, '/a'), { db: 'a' })
    t.same(await get(app, '/b'), { db: 'b' })
  })

  t.test('of two tenants that set it on one function is kept apart', async t => {
    const root = folder(t, {
      'library.mjs': "export default async function library (app, options) { app.get('/db', async () => ({ db: options.db ?? null })) }",
      acme: { routes: { 'db.mjs': "import library from '../../library.mjs'\nlibrary.autoConfig = { db: 'of acme' }\nexport default library" } },
      globex: { routes: { 'db.mjs': "import library from '../../library.mjs'\nlibrary.autoConfig = { db: 'of globex' }\nexport default library" } },
      initech: { routes: { 'db.mjs': "export { default } from '../../library.mjs'" } }
    })
    const expected = { acme: 'of acme', globex: 'of globex', initech: null }
    for (let round = 0; round < 2; round++) {
      for (const [id, db] of Object.entries(expected)) {
        const { app } = await load(t, { id, dir: join(root, id) })
        t.same(await get(app, '/db'), { db }, id)
      }
    }
  })
})

t.test('a package.json that cannot be read is an error', async t => {
  const dir = t.testdir({ 'package.json': {}, 'a.js': 'module.exports = 1' })
  await t.rejects(importModule(`${dir}/a.js`), { code: 'EISDIR' })
})

t.test('without a package.json .js is CommonJS, as in Node', async t => {
  const dir = await mkdtemp(join(tmpdir(), 'tenant-'))
  t.teardown(() => rm(dir, { recursive: true }))
  await writeFile(join(dir, 'a.js'), 'module.exports = 1')
  t.equal((await importModule(join(dir, 'a.js'))).default, 1)
  await writeFile(join(dir, 'b.mjs'), 'export default 2')
  await writeFile(join(dir, 'b.js'), "module.exports = require('./b.mjs')")
  t.equal((await importModule(join(dir, 'b.js'))).default, 2, 'which may hand on an ES module')
})
