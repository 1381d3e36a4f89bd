import Fastify from 'fastify'
import t from 'tap'
import multitenant from '../index.ts'
import { resolveOptions } from '../lib/options.ts'
import type { FastifyInstance } from 'fastify'
import type { MultitenantOptions } from '../index.ts'

/** The error of a boot with these options, which the compiler would refuse. */
async function refusal (options: unknown): Promise<Error & { code?: string, statusCode?: number }> {
  const app: FastifyInstance = Fastify()
  app.register(multitenant, options as MultitenantOptions)
  try {
    await app.ready()
  } catch (error) {
    return error as Error
  } finally {
    await app.close()
  }
  throw new Error('The app took these options')
}

/** Invalid values of each option. */
const bad: Record<string, unknown[]> = {
  tenants: [7, null, '', [], [7], [[]], true, new URL('https://example.com/tenants')],
  identify: ['cookies', '', 7, null, {}, [], ['header', 7], class { extractTenantId (): string { return 'acme' } }],
  baseDomain: [7, '', 'exa mple.com', '127.0.0.1', 'http://example.com'],
  defaultTenant: ['', '../acme', 7, null, 'a'.repeat(64)],
  required: ['yes', 1, null],
  order: ['last', '', null],
  templates: [7, null, '', [], new URL('https://example.com/templates')],
  maxActive: [0, -1, 1.5, NaN, Infinity, '10', null],
  maxResident: [0, -1, 1.5, NaN, Infinity, '10', null],
  idleTimeout: [-1, NaN, Infinity, 2 ** 31, '10', null],
  preload: ['acme', 1, null, ['../acme'], [7]],
  maxInFlight: [-1, 1.5, NaN, Infinity, '10', null],
  maxLoading: [0, -1, 1.5, Infinity, null],
  maxWaiting: [0, -1, 1.5, Infinity, null],
  watch: ['yes', 1, null],
  loadTimeout: [0, -1, NaN, 2 ** 31, '10', null],
  drainTimeout: [-1, NaN, 2 ** 31, '10', null],
  configSchema: ['object', 7, null, []],
  services: [{}, 'db', null],
  autoload: [7, null, []],
  loaders: [7, null, []],
  validateIds: ['no', 0, null]
}

/** Other options that must be set for an option to be read. */
const beside: Record<string, object> = { baseDomain: { identify: 'subdomain' } }

t.test('an invalid option is refused at boot, by name', async t => {
  for (const [name, values] of Object.entries(bad)) {
    t.test(name, async t => {
      for (const value of values) {
        const error = await refusal({ tenants: {}, ...beside[name], [name]: value })
        t.match(error, { code: 'FST_TENANT_OPTION_INVALID', statusCode: 500, message: `The option '${name}' must be ` }, String(value?.toString()))
        t.ok(error instanceof TypeError)
      }
    })
  }

  t.test('the list above has every option', async t => {
    const { message } = await refusal({ tenant: './tenants' })
    t.match(message, "The option 'tenant' must be left out: did you mean 'tenants'? The options are ")
    t.strictSame(message.replace(/^.* options are /, '').split(', ').sort(), Object.keys(bad).sort())
  })
})

t.test('the error shows the value on one line, and nothing of the content of an object', async t => {
  const shown = async (name: string, value: unknown): Promise<string> => (await refusal({ tenants: {}, [name]: value })).message.replace(/^.*, not /, '')
  t.equal(await shown('order', 'last'), "'last'")
  t.equal(await shown('loadTimeout', -1), '-1')
  t.equal(await shown('services', { password: 'secret' }), '[Object]')
  t.equal(await shown('preload', ['acme', '../x', { a: 1 }]), "[ 'acme', '../x', [Object] ]")
  t.match(await shown('watch', 'x'.repeat(1000)), /^'x{80}'\.\.\. 920 more characters$/)
})

t.test('an unknown option is refused with the closest known name, if one is close', async t => {
  t.match(await refusal({ tenants: {}, maxActiv: 1 }), { message: "The option 'maxActiv' must be left out: did you mean 'maxActive'? The options are tenants, " })
  t.match(await refusal({ tenants: {}, redis: 1 }), { message: "The option 'redis' must be left out: the options are tenants, " })
  t.match(await refusal({ tenants: {}, autoload: { route: {} } }), { message: "The option 'autoload.route' must be left out: did you mean 'autoload.routes'? The options of autoload are plugins, routes" })
})

t.test('nested options are refused by name too', async t => {
  t.match(await refusal({ tenants: { acme: 7 } }), { message: "The option 'tenants.acme' must be " })
  t.match(await refusal({ tenants: { '../acme': {} } }), { message: "The option 'tenants.../acme' must be " })
  t.match(await refusal({ tenants: { acme: { plugin: 'x' } } }), { message: "The option 'tenants.acme.plugin' must be " })
  t.match(await refusal({ tenants: { acme: { template: 7 } } }), { message: "The option 'tenants.acme.template' must be " })
  t.match(await refusal({ tenants: {}, templates: { '../x': {} } }), { message: "The option 'templates.../x' must be " })
  t.match(await refusal({ tenants: {}, templates: { standard: { dir: 7 } } }), { message: "The option 'templates.standard.dir' must be " })
  t.match(await refusal({ tenants: {}, templates: { standard: { plugin: 'x' } } }), { message: "The option 'templates.standard.plugin' must be " })
  t.match(await refusal({ tenants: {}, templates: { standard: { config: 7 } } }), { message: "The option 'templates.standard.config' must be " })
  t.match(await refusal({ tenants: {}, templates: { standard: { routes: {} } } }), { message: "The option 'templates.standard.routes' must be left out" })
  t.match(await refusal({ tenants: {}, autoload: { routes: 7 } }), { message: "The option 'autoload.routes' must be " })
  t.match(await refusal({ tenants: {}, autoload: { services: {} } }), { message: "The option 'autoload.services' must be " })
})

t.test('a baseDomain that nothing reads is refused, and so is a missing one', async t => {
  t.match(await refusal({ tenants: {}, baseDomain: 'example.com' }), { code: 'FST_TENANT_OPTION_INVALID', message: /'baseDomain'/ })
  t.match(await refusal({ tenants: {}, identify: 'subdomain' }), { code: 'FST_TENANT_OPTION_INVALID', message: /'baseDomain'/ })
})

t.test('options have defaults', async t => {
  const { source, strategy, toStrategy, named, services, isId, loaders, templates, ...rest } = resolveOptions({}, '')
  t.match(Reflect.get(source, 'dir'), /[/\\]tenants$/)
  t.equal(strategy.constructor.name, 'HeaderStrategy')
  t.equal(toStrategy('query').constructor.name, 'QueryStrategy')
  t.equal(named('path').constructor.name, 'PathStrategy')
  t.equal(services.name, 'defaultServices')
  t.equal(isId.name, 'isTenantId')
  t.equal(loaders.constructor.name, 'PluginManager')
  t.equal(templates.constructor.name, 'TemplateFolder')
  t.strictSame(rest, {
    defaultTenant: undefined,
    required: false,
    order: 'first',
    maxActive: 100,
    maxResident: 10_000,
    idleTimeout: 0,
    preload: false,
    maxInFlight: 0,
    maxLoading: 10,
    maxWaiting: 1_000,
    watch: false,
    loadTimeout: 10_000,
    drainTimeout: 30_000,
    checkConfig: undefined,
    autoload: { plugins: {}, routes: {} }
  })
})

t.test('0, false and empty are values, and undefined is not', async t => {
  const given = resolveOptions({ tenants: {}, idleTimeout: 0, drainTimeout: 0, maxInFlight: 0, preload: [], required: false, loadTimeout: undefined as never }, '')
  t.match(given, { idleTimeout: 0, drainTimeout: 0, maxInFlight: 0, preload: [], required: false, loadTimeout: 10_000 })
})

t.test("the resolved options are frozen, and the caller's object is not changed", async t => {
  const preload = ['acme']
  const configSchema = { type: 'object', properties: { plan: { type: 'string', default: 'free' } } }
  const options: MultitenantOptions = { tenants: { acme: { config: {} } }, identify: ['header', 'query'], preload, configSchema, autoload: { routes: { maxDepth: 2 } } }
  const before = structuredClone(options)
  const app = Fastify()
  t.teardown(() => app.close())
  app.register(multitenant, options)
  await app.ready()
  t.strictSame(options, before)

  const resolved = resolveOptions(options, '')
  t.ok(Object.isFrozen(resolved))
  t.ok(Object.isFrozen(resolved.autoload))
  t.ok(Object.isFrozen(resolved.preload))
  preload.push('globex')
  t.strictSame(resolved.preload, ['acme'], 'a later change of the array is of no account')
  t.strictSame(resolveOptions(deepFreeze(before), '').preload, ['acme'], 'nothing is written to what was given')
})

t.test('the option `prefix` is refused', async t => {
  t.match(await refusal({ tenants: {}, prefix: '/api' }), { code: 'FST_TENANT_OPTION_INVALID', message: /'prefix'/ })
})

function deepFreeze<Value extends object> (value: Value): Value {
  for (const entry of Object.values(value)) {
    if (typeof entry === 'object' && entry !== null) deepFreeze(entry)
  }
  return Object.freeze(value)
}
