import Fastify from 'fastify'
import t from 'tap'
import type { FastifyInstance, FastifyServerOptions } from 'fastify'
import type { Test } from 'tap'
import multitenant, { FST_TENANT_FASTIFY_UNSUPPORTED } from '../index.ts'
import { alive } from './fixtures/lifecycle/app.ts'
import type { Plugin } from './fixtures/lifecycle/app.ts'

type Ajv = NonNullable<FastifyServerOptions['ajv']>

interface Setting {
  app: FastifyInstance
  /** Every validator of Ajv's that was made. */
  made: Array<WeakRef<object>>
}

/** An app that notes what compiles its schemas. */
async function setUp (t: Test, tenants: Record<string, Plugin>, { ajv = {}, own }: { ajv?: Ajv, own?: (app: FastifyInstance) => void } = {}): Promise<Setting> {
  const made: Array<WeakRef<object>> = []
  const app = Fastify({ ajv: { ...ajv, onCreate: instance => { made.push(new WeakRef(instance)) } } })
  t.teardown(() => app.close())
  own?.(app)
  app.register(multitenant, { tenants: Object.fromEntries(Object.entries(tenants).map(([id, plugin]) => [id, { plugin }])) })
  await app.ready()
  return { app, made }
}

/** A tenant whose route takes a `name` of this length at least, by a schema of the tenant's own. */
function asksFor (minLength: number, schemas: object[] = [], keywords: object = {}): Plugin {
  return async scope => {
    for (const schema of schemas) scope.addSchema(schema)
    scope.post('/', { schema: { body: { type: 'object', properties: { name: { type: 'string', minLength } }, ...keywords } } }, async () => 'ok')
  }
}

async function takes (app: FastifyInstance, id: string, name: string): Promise<boolean> {
  const { statusCode } = await app.inject({ method: 'POST', url: '/', headers: { 'x-tenant-id': id }, payload: { name } })
  return statusCode === 200
}

const user = { $id: 'user', type: 'object', properties: { name: { type: 'string' } } }

t.test('tenants that add the same schemas share a validator, also when they are reloaded, and each has its own routes', async t => {
  const { app, made } = await setUp(t, { acme: asksFor(3, [{ ...user }]), globex: asksFor(5, [{ ...user }]), initech: asksFor(5, [{ ...user, title: 'other' }]) })
  for (let round = 0; round < 3; round++) {
    t.same([await takes(app, 'acme', 'four'), await takes(app, 'globex', 'four'), await takes(app, 'initech', 'four')], [true, false, false])
    for (const id of ['acme', 'globex', 'initech']) await app.multitenant.reload(id)
  }
  t.equal(made.length, 2)
})

t.test('a schema is compiled once for all who have it', async t => {
  const compiled: unknown[] = []
  const plugin: Plugin = async scope => {
    await asksFor(3)(scope, {} as never, () => {})
    scope.addHook('preHandler', async request => { compiled.push(request.getValidationFunction('body')) })
  }
  const { app } = await setUp(t, { acme: plugin, globex: plugin })
  await takes(app, 'acme', 'four')
  await takes(app, 'globex', 'four')
  t.equal(compiled.length, 2)
  t.equal(typeof compiled[0], 'function')
  t.equal(compiled[0], compiled[1])
})

t.test('what JSON does not say of a schema is not lost', async t => {
  const ajv: Ajv = { customOptions: { keywords: [{ keyword: 'check', validate: (check: (body: { name: string }) => boolean, body: { name: string }) => check(body) }] } as object }
  const checks = (name: string): Plugin => asksFor(1, [], { check: (body: { name: string }) => body.name === name })
  const { app } = await setUp(t, { acme: checks('acme'), globex: checks('globex') }, { ajv })
  t.same([await takes(app, 'acme', 'acme'), await takes(app, 'acme', 'globex')], [true, false])
  t.same([await takes(app, 'globex', 'acme'), await takes(app, 'globex', 'globex')], [false, true])
})

t.test('the schema of a route is not taken for that of another tenant by its $id, nor for what it was before a reload', async t => {
  let minLength = 3
  const plugin: Plugin = async scope => asksFor(minLength++, [], { $id: 'body' })(scope, {} as never, () => {})
  const { app } = await setUp(t, { acme: plugin, globex: async (...scope) => plugin(...scope) }, { ajv: { customOptions: { addUsedSchema: true } } })
  t.same([await takes(app, 'acme', 'abc'), await takes(app, 'globex', 'abc'), await takes(app, 'globex', 'abcd')], [true, false, true])
  await app.multitenant.reload('acme')
  t.same([await takes(app, 'acme', 'abcd'), await takes(app, 'acme', 'abcde')], [false, true])
})

t.test('nor is what it does not say of the schemas that tenants add', async t => {
  const ajv: Ajv = { customOptions: { keywords: [{ keyword: 'check', validate: (check: (name: string) => boolean, name: string) => check(name) }] } as object }
  const checks = (expected: string): Plugin => async scope => {
    scope.addSchema({ $id: 'name', type: 'string', check: (name: string) => name === expected })
    scope.post('/', { schema: { body: { type: 'object', properties: { name: { $ref: 'name#' } } } } }, async () => 'ok')
  }
  const { app, made } = await setUp(t, { acme: checks('acme'), globex: checks('globex') }, { ajv })
  t.same([await takes(app, 'acme', 'acme'), await takes(app, 'acme', 'globex')], [true, false])
  t.same([await takes(app, 'globex', 'acme'), await takes(app, 'globex', 'globex')], [false, true])
  t.equal(made.length, 2)
})

t.test('a validator ends with the tenants that it was made for', async t => {
  const plugins = Array.from({ length: 60 }, (_, index) => [`tenant${index}`, asksFor(1, [{ ...user, title: `of ${index}` }])] as const)
  const { app, made } = await setUp(t, Object.fromEntries(plugins))
  for (const [id] of plugins) {
    t.equal(await takes(app, id, 'four'), true)
    await app.multitenant.unload(id)
  }
  t.equal(made.length, 60)
  t.ok(await alive(made) < 40, 'but for the last ones, which may come back')
})

t.test('it ends when it has compiled much for tenants that may have gone', async t => {
  let minLength = 0
  const { app, made } = await setUp(t, { acme: async scope => asksFor(++minLength)(scope, {} as never, () => {}) }, { own: app => { app.addSchema(user) } })
  await app.multitenant.init('acme')
  for (let round = 0; round < 500; round++) await app.multitenant.reload('acme')
  t.equal(made.length, 2)
  t.equal(await takes(app, 'acme', 'a'.repeat(500)), false)
  t.equal(await takes(app, 'acme', 'a'.repeat(501)), true)
})

t.test('what the app has compiled is not what compiles for tenants: it knows none of their schemas', async t => {
  const page = { type: 'object', properties: { page: { type: 'integer' } } }
  const own = (app: FastifyInstance): void => {
    app.addSchema(user)
    app.get('/shared', { schema: { querystring: page, response: { 200: page } } }, async request => request.query)
  }
  const plugin: Plugin = async scope => {
    t.equal(scope.validatorCompiler, undefined, 'as in a child of the app')
    scope.addSchema({ $id: 'named', type: 'object', required: ['name'], properties: { name: { type: 'string' } } })
    scope.post('/', { schema: { body: { $ref: 'user#' } } }, async () => 'ok')
    await scope.register(async child => { child.post('/nested', { schema: { body: { $ref: 'named#' }, response: { 200: { $ref: 'named#' } } } }, async request => ({ ...request.body as object, more: 1 })) })
  }
  const { app, made } = await setUp(t, { acme: plugin, globex: plugin }, { own })
  const nested = (id: string, payload: object): Promise<string> => app.inject({ method: 'POST', url: '/nested', headers: { 'x-tenant-id': id }, payload }).then(({ body }) => body)
  t.same((await app.inject('/shared?page=1')).json(), { page: 1 })
  t.same([await takes(app, 'acme', 'four'), await takes(app, 'globex', 'four')], [true, true])
  t.same([await nested('acme', { name: 'Ada' }), await nested('globex', { name: 'Bob' })], ['{"name":"Ada"}', '{"name":"Bob"}'])
  t.match(await nested('acme', {}), 'body must have required property')
  t.equal(made.length, 2)
})

t.test('a serializer of the user is that of the tenants, and of those of an app below the one that it was set on', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  app.setSerializerCompiler(() => () => '"mine"')
  const plugin: Plugin = async scope => { scope.get('/', { schema: { response: { 200: { type: 'object' } } } }, async () => ({})) }
  app.register(async child => { child.register(multitenant, { tenants: { acme: { plugin } } }) }, { prefix: '/below' })
  t.equal((await app.inject({ url: '/below/', headers: { 'x-tenant-id': 'acme' } })).body, '"mine"')
})

t.test('a builder of validators of the user gets the schemas of each tenant', async t => {
  const buildValidator = (schemas: object) => () => () => ({ value: Object.keys(schemas) })
  const app = Fastify({ schemaController: { compilersFactory: { buildValidator: buildValidator as never } } })
  t.teardown(() => app.close())
  app.addSchema(user)
  const plugin: Plugin = async scope => {
    scope.addSchema({ $id: 'own', type: 'object' })
    await scope.register(async child => { child.post('/', { schema: { body: { $ref: 'own#' } } }, async request => request.body) })
  }
  app.post('/shared', { schema: { body: { $ref: 'user#' } } }, async request => request.body)
  app.register(multitenant, { tenants: { acme: { plugin } } })
  t.same((await app.inject({ method: 'POST', url: '/shared', payload: {} })).json(), ['user'])
  t.same((await app.inject({ method: 'POST', url: '/', headers: { 'x-tenant-id': 'acme' }, payload: {} })).json(), ['user', 'own'])
})

t.test('a compiler of the user is that of the tenants', async t => {
  const own = (app: FastifyInstance): void => { app.setValidatorCompiler(() => body => (body as { name: string }).name === 'mine' || { error: new Error('not mine') }) }
  const { app, made } = await setUp(t, { acme: asksFor(10) }, { own })
  t.same([await takes(app, 'acme', 'mine'), await takes(app, 'acme', 'another name')], [true, false])
  t.equal(made.length, 0)
})

t.test('a Fastify that builds validators otherwise is refused', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  const symbol = Object.getOwnPropertySymbols(app).find(({ description }) => description === 'fastify.schemaController') as symbol
  const controller = Reflect.get(app, symbol) as { opts: object }
  controller.opts = { ...controller.opts, compilersFactory: undefined }
  app.register(multitenant, { tenants: {} })
  const error = await app.ready().then(() => null, error => error)
  t.ok(error instanceof FST_TENANT_FASTIFY_UNSUPPORTED)
})
