import { join } from 'node:path'
import t, { type Test } from 'tap'
import { ConfigurationManager, MultiTenantServer } from '../../index.ts'
import { OPTION_NAMES } from '../../lib/options.ts'
import type { ServerConfig } from '../../index.ts'

const VARIABLES = ['PORT', 'HOST', 'LOG_LEVEL', 'MAX_CONCURRENT_TENANTS', 'TENANTS_PATH', 'PLUGINS_PATH']
for (const name of VARIABLES) delete process.env[name]

/** Sets variables of the environment for one test. */
function environment (t: Test, variables: Record<string, string>): void {
  Object.assign(process.env, variables)
  t.teardown(() => { for (const name of Object.keys(variables)) delete process.env[name] })
}

t.test('the defaults apply where nothing is configured', async t => {
  const root = t.testdir()
  t.strictSame(new ConfigurationManager({ root }).get(), {
    root,
    server: { port: 3000, host: 'localhost', logLevel: 'info', closeTimeout: 35_000 },
    security: { maxConcurrentTenants: 100, validateInputs: true },
    tenants: { path: 'src/tenants', maxConcurrent: 100, npmPattern: undefined },
    plugins: { path: 'src/plugins', coreOrder: [], npmPattern: undefined, load: [] },
    fastify: {},
    multitenant: {}
  })
  t.equal(new ConfigurationManager().get().root, process.cwd())
})

t.test('the environment wins over .env, and the argument wins over both', async t => {
  const root = t.testdir({ '.env': 'PORT=1\nHOST=one\nLOG_LEVEL=error\nMAX_CONCURRENT_TENANTS=1\nOTHER=1\nTENANTS_PATH=customers\n' })
  environment(t, { PORT: '2', HOST: 'two', PLUGINS_PATH: 'core' })
  const config = new ConfigurationManager({ root, server: { port: 3 } })
  t.match(config.get('server'), { port: 3, host: 'two', logLevel: 'error' })
  t.match(config.get('security'), { maxConcurrentTenants: 1 })
  t.match(config.get('tenants'), { path: 'customers', maxConcurrent: 1 })
  t.match(config.get('plugins'), { path: 'core' })
  t.equal(process.env['LOG_LEVEL'], undefined, 'nothing is put into the environment')
})

t.test('an invalid environment variable is named', async t => {
  const wrong: Record<string, [string, string]> = {
    PORT: ['http', 'env/PORT must be integer'],
    HOST: ['', 'env/HOST must NOT have fewer than 1 characters'],
    LOG_LEVEL: ['loud', 'env/LOG_LEVEL must be equal to one of the allowed values: fatal, error, warn, info, debug, trace, silent'],
    MAX_CONCURRENT_TENANTS: ['0', 'env/MAX_CONCURRENT_TENANTS must be >= 1']
  }
  for (const [name, [value, message]] of Object.entries(wrong)) {
    t.test(name, async t => {
      environment(t, { [name]: value })
      t.throws(() => new ConfigurationManager(), { code: 'FST_TENANT_CONFIG_INVALID', message: `The config is not valid: ${message}` })
    })
  }
  t.throws(() => new ConfigurationManager({ root: t.testdir({ '.env': {} }) }), { code: 'FST_TENANT_CONFIG_INVALID', cause: { code: 'EISDIR' } })
})

t.test('get() returns the whole config or one section', async t => {
  const config = new ConfigurationManager({ root: t.testdir(), plugins: { coreOrder: ['database'] } })
  t.equal(config.get('security'), config.get().security)
  t.throws(() => config.get('sever' as 'server'), { message: /^The option 'sever' must be left out: did you mean 'server'\? The options are root, server, security, / })
  const { coreOrder } = config.get('plugins')
  for (const part of [config.get(), ...Object.values(config.get()), coreOrder]) t.ok(Object.isFrozen(part))
  t.strictSame(new ConfigurationManager(config.get()).get(), config.get(), 'it may be given again')
})

t.test('two names of one setting must agree', async t => {
  const both = (config: ServerConfig): unknown[] => {
    const { security, tenants } = new ConfigurationManager(config).get()
    return [security.maxConcurrentTenants, tenants.maxConcurrent]
  }
  environment(t, { MAX_CONCURRENT_TENANTS: '9' })
  t.strictSame(both({}), [9, 9])
  t.strictSame(both({ security: { maxConcurrentTenants: 5 } }), [5, 5])
  t.strictSame(both({ tenants: { maxConcurrent: 6 } }), [6, 6])
  t.strictSame(both({ security: { maxConcurrentTenants: 7 }, tenants: { maxConcurrent: 7 } }), [7, 7])
  t.throws(() => both({ security: { maxConcurrentTenants: 5 }, tenants: { maxConcurrent: 6 } }), {
    code: 'FST_TENANT_OPTION_INVALID', message: "The option 'tenants.maxConcurrent' must be the same as security.maxConcurrentTenants, which is 5: they are one setting"
  })
})

t.test('an invalid setting is refused by its name', async t => {
  const bad: Record<string, unknown[]> = {
    config: [null, 7, []],
    sever: [{}],
    root: ['', 7, null],
    server: [7, null, []],
    'server.prot': [3000],
    'server.port': ['3000', -1, 65_536, 1.5, null],
    'server.host': ['', 7],
    'server.logLevel': ['loud', 7],
    'server.closeTimeout': [0, -1, 2 ** 31, '1'],
    security: ['high'],
    'security.maxConcurrentTenants': [0, 1.5, '100', null],
    'security.validateInputs': ['no', null],
    'security.validate': [true],
    'tenants.path': ['', 7],
    'tenants.maxConcurrent': [0, '100'],
    'tenants.npmPattern': ['', 7],
    'plugins.path': ['', 7],
    'plugins.coreOrder': ['database', [7], ['']],
    'plugins.npmPattern': ['', 7],
    'plugins.load': ['npm:x', [7]],
    fastify: [7, null],
    multitenant: [7, null],
    'multitenant.tenants': ['./tenants']
  }
  for (const [name, values] of Object.entries(bad)) {
    const [section = '', key] = name.split('.')
    for (const value of values) {
      const config = name === 'config' ? value : { [section]: key === undefined ? value : { [key]: value } }
      const make = (): unknown => new ConfigurationManager(config as ServerConfig)
      t.throws(make, { code: 'FST_TENANT_OPTION_INVALID', message: new RegExp(`^The option '${name}' must be `) }, `${name}: ${String(value)}`)
    }
  }
  t.throws(() => new MultiTenantServer({ server: { port: -1 } }), { message: "The option 'server.port' must be a whole number from 0 to 65535, not -1" })
  t.throws(() => new MultiTenantServer({ multitenant: { identify: 'smell' as 'header' } }), { message: /^The option 'identify' must be / }, 'before a core plugin opens anything')
  t.throws(() => new MultiTenantServer({ multitenant: { defaultTenant: '../x' } }), { message: "The option 'defaultTenant' must be a tenant id, not '../x'" })
  t.ok(new ConfigurationManager({ security: { validateInputs: false }, multitenant: { defaultTenant: '../x' } }))
  t.throws(() => new MultiTenantServer({ multitenant: { require: true } as object }), {
    message: /^The option 'multitenant\.require' must be left out: did you mean 'multitenant\.required'\? The options of multitenant are identify, /
  })
})

t.test('accepts every option of the plugin that the server does not set itself', async t => {
  const own = ['tenants', 'maxActive', 'loaders', 'validateIds']
  const given = Object.fromEntries(OPTION_NAMES.filter(name => !own.includes(name)).map(name => [name, undefined]))
  t.equal(Object.keys(given).length, OPTION_NAMES.length - own.length)
  t.strictSame(new ConfigurationManager({ root: join(t.testdir()), multitenant: given }).get('multitenant'), given)
  for (const name of own) {
    t.throws(() => new ConfigurationManager({ multitenant: { [name]: undefined } }), { code: 'FST_TENANT_OPTION_INVALID', message: `The option 'multitenant.${name}' must be left out` })
  }
})
