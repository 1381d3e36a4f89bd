import t from 'tap'
import { createConfigChecker } from '../../lib/loading/config-checker.ts'
import { copyPlain } from '../../lib/loading/copy-plain.ts'
import { fail, folder, load } from '../fixtures/loading/load.ts'

interface Cart { items: string[], prices: Map<string, number>, add (item: string): number, readonly size: number }

const CART = `export default {
  items: [],
  prices: new Map([['apple', 1]]),
  add (item) { return this.items.push(item) },
  get size () { return this.items.length }
}`

t.test('tenants of one folder do not share an object service', async t => {
  const dir = folder(t, { services: { 'Cart.mjs': CART } })
  const [acme, globex] = [await load(t, { id: 'acme', dir }), await load(t, { id: 'globex', dir })].map(({ tenant }) => tenant.getService<Cart>('Cart')) as [Cart, Cart]
  acme.add('of acme')
  acme.prices.set('apple', 100)
  t.same([acme.items, acme.size, acme.prices.get('apple')], [['of acme'], 1, 100], 'its methods and getters work')
  t.same([globex.items, globex.size, globex.prices.get('apple')], [[], 0, 1])
  const again = await load(t, { id: 'acme', dir })
  t.same(again.tenant.getService<Cart>('Cart').items, [], 'nor does its next generation')
})

t.test('a service that is an instance is refused, because tenants would share it', async t => {
  const fix = ', which all tenants of this folder would share: export a function that makes it'
  const refused = async (content: string, what: string): Promise<void> => {
    t.match(await fail(t, folder(t, { services: { 'Mail.mjs': content } })), { message: `services/Mail.mjs: ${what}${fix}` })
  }
  await refused('class Mailer { #sent = 0 }\nexport default new Mailer()', 'It is an instance of Mailer')
  await refused('class Pool {}\nexport default { pools: { main: new Pool() } }', "'pools.main' is an instance of Pool")
  await refused('export default { last: new WeakMap() }', "'last' is an instance of WeakMap")
  await refused('export default Object.create({ inherited: 1 })', 'It is an instance of Object')
  await refused('export default Object.create(Object.create(null))', 'It is an object with its own prototype')
  const { tenant } = await load(t, folder(t, { services: { 'Mail.mjs': 'class Mailer { sent = 0 }\nexport default () => new Mailer()' } }))
  t.match(tenant.getService('Mail'), { sent: 0 })
})

t.test('tenants of one folder do not share objects in their config', async t => {
  const dir = folder(t, { 'config.mjs': "export default { limits: new Map([['users', { max: 1 }]]), features: new Set(['a']), since: new Date(0), home: new URL('http://a.example/') }" })
  const changed = (await load(t, { id: 'acme', dir })).config as { limits: Map<string, { max: number }>, features: Set<string>, since: Date, home: URL }
  const before = (await load(t, { id: 'globex', dir })).config
  ;(changed.limits.get('users') as { max: number }).max = 2
  changed.features.add('b')
  changed.since.setFullYear(2000)
  changed.home.host = 'b.example'
  for (const config of [before, (await load(t, { id: 'initech', dir })).config]) {
    t.same(config, { limits: new Map([['users', { max: 1 }]]), features: new Set(['a']), since: new Date(0), home: new URL('http://a.example/') })
  }
})

t.test('an instance in the config of a folder is refused, unless a function creates it', async t => {
  const pool = 'class Pool {}\n'
  t.match(await fail(t, folder(t, { 'config.mjs': `${pool}export default { pool: new Pool() }` })), {
    message: "config.mjs: 'pool' is an instance of Pool, which all tenants of this folder would share: export a function that makes it"
  })
  const { config } = await load(t, folder(t, { 'config.mjs': `${pool}export default () => ({ pool: new Pool() })` }))
  t.equal((config['pool'] as object).constructor.name, 'Pool')
})

t.test('tenants of one folder do not share schemas', async t => {
  const dir = folder(t, { schemas: { 'user.mjs': "export default { type: 'object', properties: { name: { type: 'string' } } }" } })
  const { scope: acme } = await load(t, { id: 'acme', dir })
  const { scope: globex } = await load(t, { id: 'globex', dir })
  ;(acme.getSchema('user') as { properties: Record<string, unknown> }).properties['name'] = false
  t.match(globex.getSchema('user'), { properties: { name: { type: 'string' } } })
})

t.test('a copy', async t => {
  t.test('contains copies of everything that can be changed', async t => {
    const symbol = Symbol('symbol')
    const pattern = /a/g
    pattern.lastIndex = 3
    const given = {
      pattern,
      query: new URLSearchParams('a=1'),
      memory: new Uint8Array([1, 2]).buffer,
      buffer: Buffer.from('text'),
      view: new Uint16Array([1, 2, 3]).subarray(1),
      data: new DataView(new ArrayBuffer(4), 1, 2),
      list: Object.assign([1, , 3], { more: [4] }), // eslint-disable-line no-sparse-arrays
      frozen: Object.freeze({ deep: Object.freeze([1]) }),
      bare: Object.assign(Object.create(null), { a: [1] }),
      keys: new Map([[{ key: 1 }, new Set([[1]])]]),
      [symbol]: { a: 1 }
    }
    const copy = copyPlain(given)
    t.strictSame(copy, given)
    for (const key of Reflect.ownKeys(given)) t.not(Reflect.get(copy, key), Reflect.get(given, key), String(key))
    t.equal(copy.pattern.lastIndex, 3)
    t.equal(copy.list.length, 3)
    t.equal(Object.getPrototypeOf(copy.bare), null)
    t.notOk(Object.isFrozen(copy.frozen.deep))
  })

  t.test('contains the same cycles', async t => {
    const given = { map: new Map<string, unknown>(), set: new Set<unknown>(), list: [] as unknown[] }
    given.map.set('self', given.map)
    given.set.add(given)
    given.list.push(given.list)
    const copy = copyPlain(given)
    t.equal(copy.map.get('self'), copy.map)
    t.ok(copy.set.has(copy))
    t.equal(copy.list[0], copy.list)
  })

  t.test('shares functions and instances, which may have state of their own', async t => {
    class Pool {}
    class OwnMap extends Map {}
    const given = { pool: new Pool(), own: new OwnMap(), run: () => {} }
    const copy = copyPlain(given)
    t.not(copy, given)
    t.same([copy.pool === given.pool, copy.own === given.own, copy.run === given.run], [true, true, true])
  })
})

t.test('__proto__', async t => {
  const poisoned = '{ "plan": "gold", "__proto__": { "admin": true }, "limits": { "users": 1, "__proto__": { "admin": true } } }'
  const properties = { plan: { type: 'string' }, limits: { type: 'object', additionalProperties: false, properties: { users: { type: 'integer' } } } }
  const schemas = [undefined, { type: 'object', properties }, { type: 'object', properties, additionalProperties: false }]

  t.test('in a config bypasses no schema, and changes no object', async t => {
    for (const schema of schemas) {
      const checkConfig = schema === undefined ? undefined : createConfigChecker(schema)
      const ways = { file: { dir: folder(t, { 'config.json': poisoned, '.env': '__proto__=admin\nplan=silver' }) }, object: { config: JSON.parse(poisoned) } }
      for (const [way, definition] of Object.entries(ways)) {
        const { config } = await load(t, definition, { checkConfig })
        t.same(config, { plan: 'gold', limits: { users: 1 } }, way)
        for (const each of [config, config['limits'], Object.assign({}, config)] as Array<Record<string, unknown>>) {
          t.equal(each['admin'], undefined)
          t.equal(Object.getPrototypeOf(each), Object.prototype)
        }
      }
    }
  })

  t.test('in a literal is a prototype, and is left out', async t => {
    const { config } = await load(t, { config: { __proto__: { admin: true }, plan: 'gold' } as never }, { checkConfig: createConfigChecker(schemas[2]!) })
    t.equal(config['admin'], undefined)
    t.match(await fail(t, folder(t, { 'config.mjs': 'export default { limits: { __proto__: { admin: true } } }' })), { message: /^config\.mjs: 'limits' is an instance of Object/ })
  })

  t.test('in schemas and services changes no prototype', async t => {
    const { scope, tenant } = await load(t, folder(t, {
      schemas: { 'user.json': '{ "type": "object", "__proto__": { "admin": true }, "properties": { "__proto__": { "type": "string" }, "a": { "type": "string" } } }' },
      services: { 'Data.mjs': `export default JSON.parse(${JSON.stringify(poisoned)})` }
    }))
    t.strictSame(scope.getSchema('user'), { type: 'object', properties: { a: { type: 'string' } }, $id: 'user' })
    t.strictSame(tenant.getService('Data'), { plan: 'gold', limits: { users: 1 } })
    t.match(await fail(t, folder(t, { schemas: { 'a.json': '{ "$id": "__proto__", "type": "string" }' } })), { message: /^schemas\/a\.json: / })
    t.equal(Reflect.get({}, 'admin'), undefined)
  })
})

t.test('a schema that a file exports twice is added once', async t => {
  const ids = async (content: string): Promise<string[]> => Object.keys((await load(t, folder(t, { schemas: { 'user.mjs': content } }))).scope.getSchemas()).sort()
  const named = "export const user = { type: 'object' }\nexport const order = { type: 'object', properties: { id: { type: 'integer' } } }\n"
  t.same(await ids(`${named}export default [user, order]`), ['order', 'user'], 'by name and in a default array')
  t.same(await ids(`${named}export default { user, order }`), ['order', 'user'], 'in a default object')
  t.same(await ids(`${named}export default [user, order, { $id: 'more', type: 'null' }]`), ['more', 'order', 'user'])
  t.same(await ids("export const user = { type: 'object' }\nexport default user"), ['user'], 'as the default itself')
  t.same(await ids("export const a = { $id: 'user', type: 'object' }\nexport default [a]"), ['user'])
})

t.test('two files may export the same schema, or equal ones', async t => {
  const { scope } = await load(t, folder(t, {
    schemas: { 'user.mjs': "export default { type: 'object' }", 'index.mjs': "import user from './user.mjs'\nexport default { user, order: { type: 'null' } }", 'copy.json': '{ "$id": "user", "type": "object" }' }
  }))
  t.same(Object.keys(scope.getSchemas()).sort(), ['order', 'user'])
})
