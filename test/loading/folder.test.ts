import { join } from 'node:path'
import fp from 'fastify-plugin'
import t from 'tap'
import { createConfigChecker } from '../../lib/loading/config-checker.ts'
import { fail, folder, get, load, makeApp } from '../fixtures/loading/load.ts'
import { FIXTURES } from '../fixtures/loading/dir.ts'
import type { FastifyInstance } from 'fastify'

t.test("a tenant's folder may have every part, and they load in order", async t => {
  const events: string[] = []
  const app = makeApp(t)
  const event = (name: string): void => { events.push(name) }
  app.decorate('event', event).decorate('db', { name: 'db', event })
  const plugin = async (scope: FastifyInstance): Promise<void> => {
    events.push(`definition: schemas ${Object.keys(scope.getSchemas()).join()}, indexed ${scope.hasDecorator('indexed')}`)
  }
  const { scope, tenant } = await load(t, { dir: join(FIXTURES, 'whole'), plugin }, {}, app)

  t.same(events, [
    'config: acme',
    'index: schemas order,user,config acme',
    'definition: schemas order,user, indexed true',
    'plugin: indexed true',
    'service: plan gold',
    'route: services UserService'
  ])
  t.equal(tenant.name, 'Acme Inc.')
  t.same(await get(app, '/'), { shout: 'ACME!', user: 'anna of db', plan: 'gold' })
  t.same(await get(app, '/orders/1'), { order: 1, id: '1' })
  t.ok(scope.hasDecorator('shout'))
  t.notOk(app.hasDecorator('shout'), 'what the tenant decorates is its own')
})

t.test('a tenant without a folder', async t => {
  t.test('has its config and plugin', async t => {
    const { app, tenant, config } = await load(t, {
      config: { plan: 'gold' },
      plugin: (scope, { tenant, config }, done) => {
        scope.get('/', async () => ({ id: tenant.id, plan: Reflect.get(config, 'plan') }))
        done()
      }
    })
    t.equal(tenant.name, 'acme')
    t.same(config, { plan: 'gold' })
    t.same(await get(app, '/'), { id: 'acme', plan: 'gold' })
  })

  t.test('may be empty', async t => {
    const { config, tenant } = await load(t, {})
    t.same(config, {})
    t.same(tenant.listServices(), [])
  })
})

t.test('the folder', async t => {
  t.test('may be empty', async t => {
    const { config } = await load(t, folder(t, {}))
    t.same(config, {})
  })

  t.test('must exist', async t => {
    const dir = folder(t, { file: '' })
    t.match(await fail(t, join(dir, 'missing')), { message: "The tenant's folder cannot be read", cause: { code: 'ENOENT' } })
    t.match(await fail(t, join(dir, 'file')), { message: "The tenant's folder is a file" })
  })

  t.test('must have folders in the places of folders', async t => {
    t.match(await fail(t, folder(t, { services: 'a file' })), { code: 'ENOTDIR' })
  })
})

t.test('config', async t => {
  t.test('may be written in several ways', async t => {
    const ways: Record<string, string> = {
      'config.js': "export default { plan: 'gold' }",
      'config.mjs': "export default async ({ id, app }) => ({ plan: id === 'acme' && app.hasDecorator('db') ? 'gold' : 'none' })",
      'config.cjs': "module.exports = { plan: 'gold' }",
      'config.json': '{ "plan": "gold" }'
    }
    for (const [name, content] of Object.entries(ways)) {
      const app = makeApp(t).decorate('db', {})
      const { config } = await load(t, folder(t, { [name]: content }), {}, app)
      t.same(config, { plan: 'gold' }, name)
    }
  })

  t.test('may be compiled from TypeScript', async t => {
    const { config } = await load(t, folder(t, { 'config.cjs': "exports.__esModule = true; exports.default = { plan: 'gold' }" }))
    t.same(config, { plan: 'gold' })
  })

  t.test("of the definition wins over the folder's, key by key", async t => {
    const dir = folder(t, { 'config.json': '{ "plan": "gold", "limits": { "a": 1 }, "name": "Acme" }' })
    const { config, tenant } = await load(t, { dir, config: async ({ id }) => ({ limits: { b: 2 }, id }) })
    t.same(config, { plan: 'gold', limits: { b: 2 }, name: 'Acme', id: 'acme' })
    t.equal(tenant.name, 'Acme', 'its name is the name to show')
  })

  t.test('is a copy, except for instances and functions', async t => {
    class Pool {}
    const pool = new Pool()
    const given = { limits: { list: [{ a: 1 }] }, pool, log: () => {}, bare: Object.assign(Object.create(null), { a: 1 }), self: {} }
    given.self = given
    const { config } = await load(t, { config: given })
    t.same(config['limits'], given.limits)
    t.not(config['limits'], given.limits)
    t.not((config['limits'] as typeof given.limits).list[0], given.limits.list[0])
    t.same(config['bare'], { a: 1 })
    t.not(config['bare'], given.bare)
    t.equal(config['pool'], pool)
    t.equal(config['log'], given.log)
    t.equal((config['self'] as typeof given).self, config['self'], 'circles are no problem')
  })

  t.test('of a shared file is copied for each tenant', async t => {
    const dir = folder(t, { 'config.mjs': 'export default { limits: { list: [] } }' })
    const one = await load(t, { id: 'one', dir })
    const two = await load(t, { id: 'two', dir })
    ;(one.config['limits'] as { list: number[] }).list.push(1)
    one.config['secret'] = 'of one'
    t.same(two.config, { limits: { list: [] } })
    const three = await load(t, { id: 'three', dir })
    t.same(three.config, { limits: { list: [] } })
  })

  t.test('and other JSON files may begin with a byte order mark', async t => {
    const { config, scope } = await load(t, folder(t, { 'config.json': '\uFEFF{ "plan": "gold" }', schemas: { 'user.json': '\uFEFF{ "type": "object" }' } }))
    t.equal(config['plan'], 'gold')
    t.match(scope.getSchema('user'), { $id: 'user' })
  })

  t.test('cannot reach a prototype', async t => {
    const { config } = await load(t, folder(t, { 'config.json': '{ "__proto__": { "admin": true }, "deep": { "__proto__": { "admin": true } } }' }))
    t.equal(config['admin'], undefined)
    t.equal((config['deep'] as Record<string, unknown>)['admin'], undefined)
  })

  t.test('must be an object', async t => {
    for (const content of ['[]', '"gold"', 'null', '1']) {
      t.match(await fail(t, folder(t, { 'config.json': content })), {
        code: 'FST_TENANT_CONFIG_INVALID', message: 'The config is not valid: config.json must be an object, or a function that returns one'
      })
    }
    t.match(await fail(t, folder(t, { 'config.mjs': "export const plan = 'gold'" })), {
      code: 'FST_TENANT_CONFIG_INVALID', message: 'The config is not valid: the default export of config.mjs must be an object, or a function that returns one'
    })
    t.match(await fail(t, { config: () => [] }), { code: 'FST_TENANT_CONFIG_INVALID', message: /the tenant's own config must be an object/ })
  })

  t.test('names its file when it throws', async t => {
    t.match(await fail(t, folder(t, { 'config.mjs': 'export default {' })), { message: /^config\.mjs: Unexpected/, cause: SyntaxError })
    t.match(await fail(t, folder(t, { 'config.json': '{' })), { message: /^config\.json: /, cause: SyntaxError })
    t.match(await fail(t, folder(t, { 'config.mjs': "export default async () => { throw new Error('vault is sealed') }" })), {
      message: 'config.mjs: vault is sealed', cause: { message: 'vault is sealed' }
    })
    t.match(await fail(t, folder(t, { 'config.mjs': "export default () => { throw 'a string' }" })), { message: 'config.mjs: a string' })
  })

  t.test('must not be in two files', async t => {
    t.match(await fail(t, folder(t, { 'config.json': '{}', 'config.js': 'export default {}' })), {
      message: 'Only one of config.js and config.json may exist'
    })
  })
})

t.test('config against a schema', async t => {
  const schema = {
    type: 'object',
    required: ['plan'],
    properties: {
      plan: { type: 'string', enum: ['gold', 'silver'] },
      port: { type: 'integer', default: 3000 },
      FROM_DOTENV: { type: 'string' },
      PATH: { type: 'string' },
      limits: { type: 'object', default: {}, properties: { users: { type: 'integer', default: 5 } } }
    }
  }

  t.test('gets defaults, coercion, and values from .env', async t => {
    const before = structuredClone(schema)
    const dir = folder(t, { 'config.json': '{ "plan": "gold", "port": "80", "own": [1] }', '.env': 'FROM_DOTENV=yes\nplan=silver\nOTHER=no\n' })
    const { config, scope } = await load(t, dir, { checkConfig: createConfigChecker(schema) })
    t.same(config, { plan: 'gold', port: 80, own: [1], FROM_DOTENV: 'yes', limits: { users: 5 } })
    t.equal(process.env['FROM_DOTENV'], undefined)
    t.equal(config['PATH'], undefined, "the process's environment is not a tenant's")
    t.same(schema, before, 'the schema stays as it was')
    t.notOk(scope.hasDecorator('getEnvs'), 'nothing of @fastify/env is left in the scope')
    t.notOk(scope.hasRequestDecorator('getEnvs'))
  })

  t.test('works for tenants without a folder, one after the other', async t => {
    const checkConfig = createConfigChecker(schema)
    const one = await load(t, { config: { plan: 'gold' } }, { checkConfig })
    const two = await load(t, { config: { plan: 'silver', port: 1 } }, { checkConfig })
    t.same(one.config, { plan: 'gold', port: 3000, limits: { users: 5 } })
    t.same(two.config, { plan: 'silver', port: 1, limits: { users: 5 } })
    t.not(one.config['limits'], two.config['limits'])
  })

  t.test('works beside an app that uses @fastify/env itself', async t => {
    const app = makeApp(t)
    app.decorate('config', { app: true }).decorate('getEnvs', (() => ({ app: true })) as never)
    const { config } = await load(t, { config: { plan: 'gold' } }, { checkConfig: createConfigChecker(schema) }, app)
    t.match(config, { plan: 'gold', port: 3000 })
  })

  t.test('keeps no other keys if the schema says so', async t => {
    const checkConfig = createConfigChecker({ ...schema, additionalProperties: false })
    const { config } = await load(t, { config: { plan: 'gold', own: 1 } }, { checkConfig })
    t.same(config, { plan: 'gold', port: 3000, limits: { users: 5 } })
  })

  t.test('is refused if it does not match', async t => {
    const checkConfig = createConfigChecker(schema)
    t.match(await fail(t, { config: { port: 'none', limits: { users: 'x' } } }, { checkConfig }), {
      code: 'FST_TENANT_CONFIG_INVALID',
      message: "The config is not valid: config must have required property 'plan', config/port must be integer, config/limits/users must be integer",
      cause: { errors: Array }
    })
    const dir = folder(t, { 'config.json': '{ "plan": "gold" }', '.env': {} })
    t.match(await fail(t, dir, { checkConfig }), { code: 'FST_TENANT_CONFIG_INVALID', cause: { code: 'EISDIR' } })
  })

  t.test('.env is not read without a schema', async t => {
    const { config } = await load(t, folder(t, { '.env': 'A=1' }))
    t.same(config, {})
  })
})

t.test('the index module', async t => {
  t.test('gives the name', async t => {
    const name = async (content: string, config = {}, file = 'index.mjs'): Promise<string> => {
      const { tenant } = await load(t, { dir: folder(t, { [file]: content }), config })
      return tenant.name
    }
    t.equal(await name("export const name = 'Acme'; export const NAME = 'NAME'"), 'Acme')
    t.equal(await name("export const NAME = 'Acme'", { name: 'config' }), 'Acme')
    t.equal(await name("export const TENANT_ID = 'ACME-1'"), 'ACME-1')
    t.equal(await name("export const TENANT_ID = 'ACME-1'", { name: 'config' }), 'config')
    t.equal(await name('export const name = 7', { name: '' }), 'acme')
    t.equal(await name("module.exports = { TENANT_ID: 'ACME-1', NAME: 'Acme' }", {}, 'index.cjs'), 'Acme')
    t.equal(await name('module.exports = function plugin (app, options, done) { done() }', {}, 'index.cjs'), 'acme', "not the function's name")
  })

  t.test('is a plugin whose decorators are visible in the tenant', async t => {
    const ways: Record<string, string> = {
      'async.mjs': "export default async function (app, { tenant, config }) { app.decorate('made', tenant.id + config.plan) }",
      'callback.mjs': "export default (app, { tenant, config }, done) => { app.decorate('made', tenant.id + config.plan); setImmediate(done) }",
      'sync.mjs': "export default (app, { tenant, config }) => { app.decorate('made', tenant.id + config.plan) }",
      'common.cjs': "module.exports = async (app, { tenant, config }) => { app.decorate('made', tenant.id + config.plan) }"
    }
    for (const [name, content] of Object.entries(ways)) {
      const dir = folder(t, { [name.replace(/.*\./, 'index.')]: content, routes: { 'root.mjs': "export default async app => { app.get('/', async () => ({ made: app.made })) }" } })
      const { app } = await load(t, { dir, config: { plan: 'gold' } })
      t.same(await get(app, '/'), { made: 'acmegold' }, name)
      t.notOk(app.hasDecorator('made'))
    }
  })

  t.test('is not modified, and its fastify-plugin options apply', async t => {
    const plain = async (): Promise<void> => {}
    await load(t, { plugin: plain })
    t.same(Object.getOwnPropertySymbols(plain), [])
    const error = await fail(t, { plugin: fp(async () => {}, { name: 'mine', dependencies: ['other'] }) as never })
    t.match(error, { code: 'FST_ERR_PLUGIN_DEPENDENCY_NOT_REGISTERED' })
  })

  t.test('names its file when it throws', async t => {
    t.match(await fail(t, folder(t, { 'index.mjs': 'export default 1' })), { message: 'index.mjs: The default export must be a plugin' })
    t.match(await fail(t, folder(t, { 'index.mjs': 'export default {' })), { message: /^index\.mjs: Unexpected/ })
    t.match(await fail(t, folder(t, { 'index.mjs': "export default async () => { throw new Error('no db') }" })), { message: 'index.mjs: no db', cause: { message: 'no db' } })
    t.match(await fail(t, folder(t, { 'index.mjs': "export default (app, options, done) => done(new Error('no db'))" })), { message: 'index.mjs: no db' })
    t.match(await fail(t, folder(t, { 'index.mjs': '', 'index.js': '' })), { message: 'Only one of index.mjs and index.js may exist' })
  })
})
