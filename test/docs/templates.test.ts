import assert from 'node:assert/strict'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import multitenant from '../../index.ts'
import { emptyApp } from '../fixtures/http/app.ts'
import { AsyncFunction, as } from '../fixtures/readme/guide.ts'
import { openMarkdown } from '../fixtures/readme/markdown.ts'
import { writeFiles } from '../fixtures/readme/reference.ts'
import { runConsole, startProgram } from '../fixtures/readme/program.ts'
import type { FastifyInstance } from 'fastify'
import type { MultitenantOptions } from '../../index.ts'

const { sectionOf, blocksOf, codeOf, untested } = openMarkdown('docs/templates.md')

/** Writes the files of a section, and runs them in an app. */
async function appWith (t: Test, heading: string, options: Pick<MultitenantOptions, 'templates' | 'tenants'> = {}): Promise<{ app: FastifyInstance, dir: string }> {
  const dir = t.testdir()
  await writeFiles(dir, blocksOf(heading, 'js').filter(({ path }) => path !== undefined && /^t\w+s\//.test(path)))
  const app = emptyApp(t)
  app.register(multitenant, { tenants: join(dir, 'tenants'), templates: join(dir, 'templates'), ...options })
  await app.ready()
  return { app, dir }
}

async function codeOfFailure (app: FastifyInstance, id: string): Promise<unknown[]> {
  try {
    await app.multitenant.init(id)
    return []
  } catch (error) {
    const codes: unknown[] = []
    for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) codes.push(Reflect.get(cause, 'code') ?? cause.message)
    return codes
  }
}

t.test('A first template', async t => {
  const { shell } = await startProgram(t, blocksOf('A first template', 'js'))
  await runConsole(t, codeOf('A first template', 'console'), shell)
})

t.test('Naming a template', async t => {
  const app = emptyApp(t)
  await new AsyncFunction('app', 'multitenant', codeOf('Naming a template', 'js'))(app, multitenant)
  for (const [id, plan] of [['acme', 'standard'], ['globex', 'pro']] as const) t.equal((await app.inject({ url: '/plan', ...as(id) })).body, plan)
  t.equal(app.multitenant.get('acme')?.template, 'standard')

  const { app: other } = await appWith(t, 'Naming a template', {
    templates: { standard: {}, pro: {}, nested: { config: { template: 'pro' } } },
    tenants: { both: { template: 'pro', config: { template: 'standard' } }, config: { config: { template: 'standard' } }, path: { template: '../elsewhere' }, nested: { template: 'nested' }, none: {} }
  })
  const templateOf = async (id: string): Promise<string | null> => (await other.multitenant.init(id)).template
  t.strictSame([await templateOf('both'), await templateOf('config'), await templateOf('none')], ['pro', 'standard', null])
  t.match(await codeOfFailure(other, 'path'), ['FST_TENANT_LOAD_FAILED', 'FST_TENANT_TEMPLATE_NOT_FOUND'])
  t.match(await codeOfFailure(other, 'nested'), ['FST_TENANT_LOAD_FAILED', 'FST_TENANT_TEMPLATE_FAILED', 'FST_TENANT_CONFIG_INVALID'])
})

t.test("What a template's code gets", async t => {
  const ran: string[] = []
  const refused: unknown[] = []
  const dir = t.testdir({
    'config.js': "export default ({ id }) => ({ bucket: 'files-of-' + id, plan: 'free' })",
    '.env': 'MAIL_FROM=a@standard.example',
    services: { 'Pool.js': "export default class { constructor (ran, config) { this.end = () => ran.push('end of ' + config.id) } async [Symbol.asyncDispose] () { this.end() } }" }
  })
  const plugin = async (scope: FastifyInstance, options: object): Promise<void> => {
    for (const name of ['tenant', 'config']) {
      try {
        Reflect.get(options, name)
      } catch (error) {
        refused.push(Reflect.get(error as Error, 'code'))
      }
    }
    ran.push(...Object.keys(options))
    scope.addHook('onReady', async () => { ran.push('onReady') })
    scope.addHook('onClose', async () => { ran.push('onClose') })
    scope.get('/who', async ({ tenant, tenantId }) => [tenant?.id, tenantId])
  }
  const app = emptyApp(t)
  app.register(multitenant, {
    templates: { standard: { dir, plugin } },
    tenants: { acme: { template: 'standard' }, globex: { template: 'standard', config: { plan: 'pro' } } },
    configSchema: { type: 'object', properties: { MAIL_FROM: { type: 'string' } } },
    services: ({ tenant }) => [ran, tenant.config]
  })
  await app.ready()
  const [acme, globex] = await Promise.all([app.multitenant.init('acme'), app.multitenant.init('globex')])
  t.strictSame(refused, ['FST_TENANT_TEMPLATE_SHARED', 'FST_TENANT_TEMPLATE_SHARED'])
  t.strictSame(ran, ['template', 'onReady'], 'once for both')
  t.match(acme.config, { bucket: 'files-of-acme', plan: 'free', MAIL_FROM: 'a@standard.example' })
  t.match(globex.config, { bucket: 'files-of-globex', plan: 'pro' })
  for (const { id, app } of [acme, globex]) t.strictSame((await app.inject('/who')).json(), [id, id])
  await app.multitenant.unload('acme')
  t.strictSame(ran.slice(2), ['end of acme'])
  await app.close()
  t.strictSame(ran.slice(3), ['end of globex', 'onClose'])
})

t.test('Who answers on a template', async t => {
  const routes = ['route', 'wildcard', '404 handler'].flatMap(kind => ['tenant', 'template', 'app'].map(owner => ({ kind, owner })))
  for (const [at, { kind, owner }] of routes.entries()) {
    const left = routes.slice(at)
    const plugin = (name: string) => async (scope: FastifyInstance): Promise<void> => {
      for (const { kind } of left.filter(({ owner }) => owner === name)) {
        const answer = async (): Promise<string> => `${name}: ${kind}`
        if (kind === '404 handler') scope.setNotFoundHandler(answer)
        else scope.get(kind === 'route' ? '/a' : '/*', answer)
      }
    }
    const app = emptyApp(t)
    app.register(multitenant, { templates: { standard: { plugin: plugin('template') } }, tenants: { acme: { template: 'standard', plugin: plugin('tenant') } } })
    await plugin('app')(app)
    t.equal((await app.inject({ url: '/a', ...as('acme') })).body, `${owner}: ${kind}`)
  }
})

t.test("No tenant's state in a template", async t => {
  const heading = "No tenant's state in a template"
  const [test] = blocksOf(heading, 'js').filter(({ path }) => path === 'test.js')
  const check = async (template: string): Promise<unknown> => {
    const { app } = await appWith(t, heading, { tenants: { acme: { template }, globex: { template } } })
    return new AsyncFunction('app', 'assert', test?.code ?? '')(app, assert)
  }
  await check('right')
  await t.rejects(check('wrong'), { name: 'AssertionError', message: /visits: 2/ }, 'the check finds the counter that tenants share')
})

t.test('Reloading a template', async t => {
  let version = 1
  let closed = 0
  const plugin = async (scope: FastifyInstance): Promise<void> => {
    if (version === 3) throw new Error('broken')
    const own = version
    scope.get('/', async () => own)
    scope.addHook('onClose', async () => { closed++ })
  }
  let fails = false
  const app = emptyApp(t)
  app.register(multitenant, {
    templates: { standard: { plugin } },
    tenants: { acme: { template: 'standard' }, globex: { template: 'standard', plugin: async () => { if (fails) throw new Error('fails') } } }
  })
  await app.ready()
  const answers = async (): Promise<string[]> => Promise.all(['acme', 'globex'].map(async id => (await app.inject({ url: '/', ...as(id) })).body))
  t.strictSame(await answers(), ['1', '1'])
  version = 2
  const logged: unknown[] = []
  app.log.info = (line: unknown) => { logged.push(line) }
  await new AsyncFunction('app', codeOf('Reloading a template', 'js'))(app)
  t.match(logged, [{ generation: 2, reloaded: 2, failed: [] }])
  t.strictSame(await answers(), ['2', '2'])
  t.equal(closed, 1)

  version = 3
  await t.rejects(app.multitenant.reloadTemplate('standard'), { code: 'FST_TENANT_TEMPLATE_FAILED' })
  t.strictSame(await answers(), ['2', '2'], 'everything stays as it was')
  version = 4
  fails = true
  t.match(await app.multitenant.reloadTemplate('standard'), { reloaded: 1, failed: ['globex'] })
  t.strictSame(await answers(), ['4', '2'])
  t.equal(closed, 1, 'the old generation stays open')
})

t.test('Limits of both kinds', async t => {
  const app = emptyApp(t)
  const own = async (): Promise<void> => {}
  app.register(multitenant, {
    templates: { standard: {} },
    tenants: { a: { template: 'standard' }, b: { template: 'standard' }, c: {}, d: { plugin: own }, e: { template: 'standard', plugin: own } },
    maxActive: 1,
    maxResident: 2
  })
  await app.ready()
  for (const id of ['a', 'b', 'c', 'd', 'e']) await app.multitenant.init(id)
  t.strictSame(['a', 'b', 'c', 'd', 'e'].filter(id => app.multitenant.get(id) !== null), ['b', 'c', 'e'])
  t.match(await app.multitenant.stats(), { active: 3, resident: 2, templates: [{ name: 'standard', state: 'active', generation: 1, tenants: 2, lastError: null }] })
})

t.test('Errors of templates', async t => {
  const { app } = await appWith(t, 'Errors of templates', {
    templates: { broken: { plugin: async () => { throw new Error('broken') } }, reads: { plugin: async (_scope: FastifyInstance, options: object) => Reflect.get(options, 'tenant') }, standard: {} },
    tenants: { a: { template: 'nowhere' }, b: { template: 'broken' }, c: { template: 'reads' }, d: {} }
  })
  const found = [...await codeOfFailure(app, 'a'), ...await codeOfFailure(app, 'b'), ...await codeOfFailure(app, 'c')]
  for (const [code = ''] of sectionOf('Errors of templates').tables[0] ?? []) t.ok(found.includes(code.replaceAll('`', '')), code)
  t.equal((await app.inject({ url: '/', ...as('a') })).statusCode, 503)
  t.equal((await app.multitenant.init('d')).state, 'active', 'a tenant without them is unharmed')
})

t.test('every code block is tested', async t => {
  t.strictSame(untested(), [])
})
