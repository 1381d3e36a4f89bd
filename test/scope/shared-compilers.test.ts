import { createRequire } from 'node:module'
import Fastify from 'fastify'
import t from 'tap'
import type { FastifyInstance, FastifyServerOptions } from 'fastify'
import type { Test } from 'tap'
import multitenant, { FST_TENANT_FASTIFY_UNSUPPORTED } from '../../index.ts'
import { alive, Door } from '../fixtures/lifecycle/app.ts'
import type { Plugin } from '../fixtures/lifecycle/app.ts'

type Ajv = NonNullable<FastifyServerOptions['ajv']>

interface Setting {
  app: FastifyInstance
  /** Every Ajv that compiles validators. */
  made: Array<WeakRef<object>>
  /** Every schema that one of them compiled. */
  compiled: unknown[]
}

interface AjvInstance {
  opts: { coerceTypes?: unknown }
  _addVocabularies (): void
  compile (schema: unknown): unknown
}

let made: Setting['made'] = []
let compiled: Setting['compiled'] = []

/** Records the compilers of request schemas. `onCreate` would do it too, but with it the plugin shares nothing. */
const { prototype } = createRequire(createRequire(import.meta.url).resolve('@fastify/ajv-compiler'))('ajv/dist/core').default as { prototype: AjvInstance }
const { _addVocabularies: start, compile } = prototype
const isForRequests = ({ opts }: AjvInstance): boolean => opts.coerceTypes === 'array'
prototype._addVocabularies = function () {
  if (isForRequests(this)) made.push(new WeakRef(this))
  start.call(this)
}
prototype.compile = function (schema) {
  if (isForRequests(this)) compiled.push(schema)
  return compile.call(this, schema)
}

/** An app that records the compilers of its schemas. */
async function setUp (t: Test, tenants: Record<string, Plugin>, { ajv = {}, own }: { ajv?: Ajv, own?: (app: FastifyInstance) => void } = {}): Promise<Setting> {
  made = []
  compiled = []
  const app = Fastify({ ajv })
  t.teardown(() => app.close())
  own?.(app)
  app.register(multitenant, { tenants: Object.fromEntries(Object.entries(tenants).map(([id, plugin]) => [id, { plugin }])) })
  await app.ready()
  return { app, made, compiled }
}

/** A tenant whose route takes a `name` with this minimal length, by the tenant's own schema. */
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

t.test('tenants with the same schemas share a validator, also after a reload, and each has its own routes', async t => {
  const { app, made } = await setUp(t, { acme: asksFor(3, [{ ...user }]), globex: asksFor(5, [{ ...user }]), initech: asksFor(5, [{ ...user, title: 'other' }]) })
  for (let round = 0; round < 3; round++) {
    t.same([await takes(app, 'acme', 'four'), await takes(app, 'globex', 'four'), await takes(app, 'initech', 'four')], [true, false, false])
    for (const id of ['acme', 'globex', 'initech']) await app.multitenant.reload(id)
  }
  t.equal(made.length, 2)
})

t.test('a schema is compiled once for all tenants that have it', async t => {
  const { app, compiled } = await setUp(t, { acme: asksFor(3), globex: asksFor(3) })
  t.equal(await takes(app, 'acme', 'four'), true)
  t.equal(await takes(app, 'globex', 'four'), true)
  t.equal(compiled.length, 1)
})

/** A tenant that keeps the errors of its validator, and returns them after other tenants had a request. */
function tellsErrors (hasWaited: Promise<void>): Plugin {
  return async scope => {
    const body = { type: 'object', additionalProperties: false, required: ['name'], properties: { name: { enum: ['Ada'] } } }
    scope.post('/', { schema: { body }, attachValidation: true }, async request => {
      await hasWaited
      const validate = request.getValidationFunction('body') as unknown as { errors: unknown, schema: object }
      return { errors: validate.errors, isOwn: validate.schema === body }
    })
  }
}

for (const verbose of [false, true]) {
  t.test(`a tenant's validator keeps nothing of another's input${verbose ? ', also where errors have the input' : ''}`, async t => {
    const door = new Door()
    const { app } = await setUp(t, { acme: tellsErrors(door.pass()), globex: tellsErrors(Promise.resolve()) }, { ajv: { customOptions: { verbose } } })
    const post = (id: string, name: string) => app.inject({ method: 'POST', url: '/', headers: { 'x-tenant-id': id }, payload: { name } })
    await app.multitenant.init('acme')
    const first = post('acme', 'Ada')
    const second = await post('globex', 'the secret of globex')
    t.match(second.json(), { isOwn: true, errors: [{ keyword: 'enum' }] })
    t.equal(second.body.includes('secret'), verbose, 'a tenant has what is said of its own input')
    door.open()
    t.same((await first).json(), { errors: null, isOwn: true })
  })
}

t.test("negative control: two routes that share a validator see each other's errors", async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  const body = { type: 'object', required: ['name'] }
  app.post('/wrong', { schema: { body }, attachValidation: true }, async () => 'wrong')
  app.post('/', { schema: { body } }, async request => {
    await app.inject({ method: 'POST', url: '/wrong', payload: {} })
    return (request.getValidationFunction('body') as unknown as { errors: unknown }).errors
  })
  t.match((await app.inject({ method: 'POST', url: '/', payload: { name: 'Ada' } })).json(), [{ keyword: 'required' }])
})

const addUsedSchema: Record<string, Ajv> = {
  undefined: { customOptions: { addUsedSchema: undefined as never } },
  1: { customOptions: { addUsedSchema: 1 as never } },
  'set in onCreate': { onCreate: (instance: unknown) => { (instance as { opts: { addUsedSchema?: boolean } }).opts.addUsedSchema = true } },
  'set by a plugin': { plugins: [((instance: unknown) => { (instance as { opts: { addUsedSchema?: boolean } }).opts.addUsedSchema = true }) as never] }
}

for (const [how, ajv] of Object.entries(addUsedSchema)) {
  t.test(`a tenant does not accept another's body where Ajv keeps schemas by their $id: addUsedSchema ${how}`, async t => {
    const { app } = await setUp(t, { acme: asksFor(3, [], { $id: 'body' }), globex: asksFor(5, [], { $id: 'body' }) }, { ajv })
    t.same([await takes(app, 'acme', 'four'), await takes(app, 'globex', 'four')], [true, false])
  })
}

t.test('tenants load in any order, even if parts of their schemas have the same $id', async t => {
  const named = (minLength: number): Plugin => asksFor(minLength, [], { definitions: { part: { $id: 'part', type: 'string', minLength } } })
  for (const order of [['acme', 'globex'], ['globex', 'acme']]) {
    const { app } = await setUp(t, { acme: named(3), globex: named(5) })
    for (const id of order) await app.multitenant.init(id)
    t.same([await takes(app, 'acme', 'four'), await takes(app, 'globex', 'four')], [true, false])
  }
})

t.test('a tenant that changes a compiled schema changes it for no other tenant', async t => {
  const names = Array.from({ length: 300 }, (_, index) => `name${index}`)
  const plugin: Plugin = async scope => {
    const list = [...names]
    scope.post('/', { schema: { body: { type: 'object', properties: { name: { enum: list } } } } }, async () => { list.push('another') })
  }
  const { app, compiled } = await setUp(t, { acme: plugin, globex: plugin })
  await takes(app, 'acme', 'name0')
  t.equal(await takes(app, 'globex', 'another'), false)
  t.equal(compiled.length, 1)
})

t.test('parts of a schema that JSON cannot represent are not lost', async t => {
  const ajv: Ajv = { customOptions: { keywords: [{ keyword: 'check', validate: (check: (body: { name: string }) => boolean, body: { name: string }) => check(body) }] } as object }
  const checks = (name: string): Plugin => asksFor(1, [], { check: (body: { name: string }) => body.name === name })
  const { app } = await setUp(t, { acme: checks('acme'), globex: checks('globex') }, { ajv })
  t.same([await takes(app, 'acme', 'acme'), await takes(app, 'acme', 'globex')], [true, false])
  t.same([await takes(app, 'globex', 'acme'), await takes(app, 'globex', 'globex')], [false, true])
})

t.test("a route's schema is not confused by its $id with another tenant's, or with its own before a reload", async t => {
  let minLength = 3
  const plugin: Plugin = async scope => asksFor(minLength++, [], { $id: 'body' })(scope, {} as never, () => {})
  const { app } = await setUp(t, { acme: plugin, globex: async (...scope) => plugin(...scope) }, { ajv: { customOptions: { addUsedSchema: true } } })
  t.same([await takes(app, 'acme', 'abc'), await takes(app, 'globex', 'abc'), await takes(app, 'globex', 'abcd')], [true, false, true])
  await app.multitenant.reload('acme')
  t.same([await takes(app, 'acme', 'abcd'), await takes(app, 'acme', 'abcde')], [false, true])
})

t.test('parts of added schemas that JSON cannot represent are not lost', async t => {
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

t.test('a validator is released with the tenants that it was made for', async t => {
  const plugins = Array.from({ length: 60 }, (_, index) => [`tenant${index}`, asksFor(1, [{ ...user, title: `of ${index}` }])] as const)
  const { app, made } = await setUp(t, Object.fromEntries(plugins))
  for (const [id] of plugins) {
    t.equal(await takes(app, id, 'four'), true)
    await app.multitenant.unload(id)
  }
  t.equal(made.length, 60)
  t.ok(await alive(made) < 40, 'but for the last ones, which may come back')
})

t.test('a validator is replaced when it has compiled many schemas for tenants that may be gone', async t => {
  let minLength = 0
  const { app, made } = await setUp(t, { acme: async scope => asksFor(++minLength)(scope, {} as never, () => {}) }, { own: app => { app.addSchema(user) } })
  await app.multitenant.init('acme')
  for (let round = 0; round < 500; round++) await app.multitenant.reload('acme')
  t.equal(made.length, 2)
  t.equal(await takes(app, 'acme', 'a'.repeat(500)), false)
  t.equal(await takes(app, 'acme', 'a'.repeat(501)), true)
})

t.test("the app's own validator does not compile for tenants", async t => {
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

t.test('tenants use a custom serializer compiler, also below the app on which it was set', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  app.setSerializerCompiler(() => () => '"mine"')
  const plugin: Plugin = async scope => { scope.get('/', { schema: { response: { 200: { type: 'object' } } } }, async () => ({})) }
  app.register(async child => { child.register(multitenant, { tenants: { acme: { plugin } } }) }, { prefix: '/below' })
  t.equal((await app.inject({ url: '/below/', headers: { 'x-tenant-id': 'acme' } })).body, '"mine"')
})

t.test('a custom builder of validators gets the schemas of each tenant', async t => {
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

t.test('tenants use a custom validator compiler', async t => {
  const own = (app: FastifyInstance): void => { app.setValidatorCompiler(() => body => (body as { name: string }).name === 'mine' || { error: new Error('not mine') }) }
  const { app, made } = await setUp(t, { acme: asksFor(10) }, { own })
  t.same([await takes(app, 'acme', 'mine'), await takes(app, 'acme', 'another name')], [true, false])
  t.equal(made.length, 0)
})

t.test('a Fastify with another builder of validators is refused', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  const symbol = Object.getOwnPropertySymbols(app).find(({ description }) => description === 'fastify.schemaController') as symbol
  const controller = Reflect.get(app, symbol) as { opts: object }
  controller.opts = { ...controller.opts, compilersFactory: undefined }
  app.register(multitenant, { tenants: {} })
  const error = await app.ready().then(() => null, error => error)
  t.ok(error instanceof FST_TENANT_FASTIFY_UNSUPPORTED)
})
