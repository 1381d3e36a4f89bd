import { randomUUID } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { appOf, send } from '../fixtures/templates/app.ts'
import { call, listen, LogLines, MemorySource } from '../fixtures/lifecycle/app.ts'
import type { Test } from 'tap'
import type { FastifyInstance } from 'fastify'
import type { InlineTemplate, InlineTenant, MultitenantOptions } from '../../index.ts'

type Content = NonNullable<Parameters<Test['testdir']>[0]>

/** A folder at a path from which no module was imported before. */
function folder (t: Test, content: Content): string {
  const name = randomUUID()
  return join(t.testdir({ [name]: content }), name)
}

const ROUTE = "export default async (app, { template }) => { app.get('/', async ({ tenant }) => [template.name, tenant.id, tenant.template, tenant.config.mark]) }"
const shop = (): Content => ({ routes: { 'index.mjs': ROUTE } })

t.test('a definition, the config of a folder and a config in code name the template', async t => {
  const dir = folder(t, {
    templates: { shop: shop(), school: shop() },
    tenants: {
      inFolder: { 'config.json': '{ "template": "shop", "mark": 1 }' },
      inModule: { 'config.mjs': "export default ({ id }) => ({ template: 'school', mark: id })" }
    }
  })
  const templates = join(dir, 'templates')
  const folders = appOf(t, templates, join(dir, 'tenants'))
  t.same((await send(folders, 'inFolder')).json(), ['shop', 'inFolder', 'shop', 1])
  t.same((await send(folders, 'inModule')).json(), ['school', 'inModule', 'school', 'inModule'])
  const inCode = appOf(t, templates, {
    defined: { template: 'shop', config: { mark: 2 } },
    configured: { config: { template: 'school', mark: 3 } },
    both: { template: 'shop', config: { template: 'school', mark: 4 } }
  })
  t.same((await send(inCode, 'defined')).json(), ['shop', 'defined', 'shop', 2])
  t.same((await send(inCode, 'configured')).json(), ['school', 'configured', 'school', 3])
  t.same((await send(inCode, 'both')).json(), ['shop', 'both', 'shop', 4], 'the definition wins')
  t.match(await inCode.multitenant.stats(), { active: 3, resident: 3, templates: [{ name: 'school', tenants: 1 }, { name: 'shop', tenants: 2, state: 'active', generation: 1, draining: 0, lastError: null }] })
})

/** Routes at these URLs, which answer with a name. */
function routes (name: string, ...urls: string[]): (scope: FastifyInstance) => void {
  return scope => {
    for (const url of urls) scope.get(url, async ({ tenantId }) => `${name} ${tenantId}`)
  }
}

function notFound (name: string): (scope: FastifyInstance) => void {
  return scope => { scope.setNotFoundHandler(async ({ tenantId }, reply) => reply.code(404).send(`${name} 404 ${tenantId}`)) }
}

for (const order of ['first', 'registered'] as const) {
  t.test(`who answers: own, template's and app's routes, then wildcards, then 404 handlers, order '${order}'`, async t => {
    const own = async (scope: FastifyInstance): Promise<void> => routes('own', '/all', '/own', '/w/own/*')(scope)
    const app = appOf(t, {
      shop: {
        plugin: async scope => {
          routes('template', '/all', '/template', '/template-app', '/w/own/t', '/w/template/*')(scope)
          notFound('template')(scope)
        }
      },
      bare: { plugin: async scope => routes('template', '/all')(scope) }
    }, {
      a: { template: 'shop' },
      b: { template: 'shop', plugin: own },
      c: { template: 'shop', plugin: async scope => { await own(scope); notFound('own')(scope) } },
      d: { template: 'bare', plugin: own },
      e: { template: 'bare' }
    }, { order })
    routes('app', '/all', '/app', '/template-app', '/w/own/t', '/w/own/app', '/w/template/app', '/w/*')(app)
    notFound('app')(app)
    const expected: Record<string, Record<string, string>> = {
      a: { '/all': 'template a', '/template': 'template a', '/template-app': 'template a', '/app': 'app a', '/own': 'template 404 a', '/w/own/t': 'template a', '/w/own/x': 'app a', '/w/template/app': 'app a', '/w/template/x': 'template a', '/w/x': 'app a', '/x': 'template 404 a' },
      b: { '/all': 'own b', '/template': 'template b', '/template-app': 'template b', '/app': 'app b', '/own': 'own b', '/w/own/t': 'template b', '/w/own/app': 'app b', '/w/own/x': 'own b', '/w/template/x': 'template b', '/w/x': 'app b', '/x': 'template 404 b' },
      c: { '/all': 'own c', '/template': 'template c', '/x': 'own 404 c' },
      d: { '/all': 'own d', '/own': 'own d', '/x': 'app 404 d', '/template': 'app 404 d' },
      e: { '/all': 'template e', '/x': 'app 404 e' }
    }
    const url = await listen(app)
    for (const [id, answers] of Object.entries(expected)) {
      for (const [path, body] of Object.entries(answers)) {
        t.equal((await send(app, id, path)).body, body, `${id} ${path}`)
        t.equal(await (await call(`${url}${path}`, id)).text(), body, `${id} ${path}, over a socket`)
      }
    }
  })
}

const SERVICES: Content = {
  'counter.mjs': 'export default class Counter { constructor (db, config) { this.mark = config.mark; this.count = 0 } }',
  'factory.mjs': 'export default async (db, config) => ({ mark: config.mark })',
  'values.mjs': 'export default { list: [] }',
  'mail.mjs': "export default () => 'mail of the template'"
}
const USES_SERVICES = `export default async app => {
  app.get('/', async ({ tenant }) => {
    const values = tenant.getService('values')
    values.list.push(tenant.id)
    tenant.getService('counter').count++
    return [tenant.getService('counter'), tenant.getService('factory'), values.list, tenant.getService('mail'), tenant.listServices()]
  })
}`

t.test("services are made for each tenant, and a tenant's own service replaces that of the template", async t => {
  const dir = folder(t, {
    templates: { shop: { services: SERVICES, routes: { 'index.mjs': USES_SERVICES } } },
    own: { services: { 'mail.mjs': "export default (db, { mark }) => 'mail of ' + mark", 'extra.mjs': 'export default {}' } }
  })
  const app = appOf(t, join(dir, 'templates'), {
    a: { template: 'shop', config: { mark: 'a' } },
    b: { template: 'shop', config: { mark: 'b' } },
    own: { template: 'shop', config: { mark: 'own' }, dir: join(dir, 'own') }
  })
  const names = ['counter', 'factory', 'mail', 'values']
  for (const id of ['a', 'b']) t.same((await send(app, id)).json(), [{ mark: id, count: 1 }, { mark: id }, [id], 'mail of the template', names])
  t.same((await send(app, 'own')).json(), [{ mark: 'own', count: 1 }, { mark: 'own' }, ['own'], 'mail of own', ['counter', 'extra', 'factory', 'mail', 'values']])
  t.same((await send(app, 'a')).json(), [{ mark: 'a', count: 2 }, { mark: 'a' }, ['a', 'a'], 'mail of the template', names])
})

t.test("the template's config gives defaults key by key, which no tenant can change for another", async t => {
  const dir = folder(t, { shop: { 'config.mjs': 'export default { colors: { main: "red" }, size: 1, mark: "template" }' } })
  const plugin: NonNullable<InlineTemplate['plugin']> = async scope => {
    scope.get('/', async ({ tenant }) => tenant?.config)
    scope.get('/paint', async ({ tenant }) => { Object.assign((tenant?.config as unknown as { colors: object }).colors, { main: tenant?.id }) })
  }
  const app = appOf(t, {
    folder: { dir: join(dir, 'shop'), plugin, config: { size: 2 } },
    function: { plugin, config: async ({ id, app }) => ({ mark: `${id} ${typeof app.multitenant.get}`, size: 3 }) }
  }, {
    a: { template: 'folder' },
    b: { template: 'folder', config: { mark: 'b', colors: { second: 'blue' } } },
    c: { template: 'function', config: { size: 4 } }
  })
  t.same((await send(app, 'b')).json(), { colors: { second: 'blue' }, size: 2, mark: 'b' })
  await send(app, 'b', '/paint')
  t.same((await send(app, 'a')).json(), { colors: { main: 'red' }, size: 2, mark: 'template' })
  await send(app, 'a', '/paint')
  await app.multitenant.reload('b')
  t.same((await send(app, 'c')).json(), { mark: 'c function', size: 4 })
  await app.multitenant.unload('a')
  t.same((await send(app, 'a')).json(), { colors: { main: 'red' }, size: 2, mark: 'template' }, 'the change was only to its own copy')
})

t.test('the .env file of the tenant comes before that of the template, under configSchema', async t => {
  const dir = folder(t, {
    templates: { shop: { '.env': 'FROM_TEMPLATE=template\nBOTH=template\n', ...shop() as object } },
    tenants: { a: { 'config.json': '{ "template": "shop" }', '.env': 'BOTH=tenant\n' }, b: { 'config.json': '{ "template": "shop" }' } }
  })
  const text = { type: 'string' }
  const app = appOf(t, join(dir, 'templates'), join(dir, 'tenants'), { configSchema: { type: 'object', properties: { FROM_TEMPLATE: text, BOTH: text, template: text, size: { type: 'number', default: 7 } } } })
  await app.ready()
  t.match((await app.multitenant.init('a')).config, { FROM_TEMPLATE: 'template', BOTH: 'tenant', size: 7 })
  t.match((await app.multitenant.init('b')).config, { FROM_TEMPLATE: 'template', BOTH: 'template', size: 7 })
})

t.test("a template's config names plugins for its scope, and its own keys stay out of its tenants' configs", async t => {
  const dir = folder(t, { shop: { 'config.json': '{ "plugins": ["file:extra.mjs"], "mark": "m" }', 'extra.mjs': 'export default async app => { app.get("/extra", async ({ tenant }) => tenant.config) }' } })
  const app = appOf(t, { shop: { dir: join(dir, 'shop') } }, { a: { template: 'shop' } })
  t.same((await send(app, 'a', '/extra')).json(), { mark: 'm' })
  t.match(await app.multitenant.stats(), { resident: 1 }, 'its tenant has no code of its own')
})

const READS: Record<string, Content> = {
  'plugins/bad.mjs': { plugins: { 'bad.mjs': 'export default async (app, { tenant }) => {}' } },
  'routes/bad.mjs': { routes: { 'bad.mjs': 'export default async (app, options) => { options.config.mark }' } },
  'index.mjs': { 'index.mjs': 'export default async (app, { tenant: { id } }) => {}' },
  'extra.mjs': { 'config.json': '{ "plugins": ["file:extra.mjs"] }', 'extra.mjs': 'export default async (app, { tenant }) => {}' }
}

for (const [file, content] of Object.entries(READS)) {
  t.test(`${file} of a template cannot read tenant or config of its options`, async t => {
    const log = new LogLines()
    const app = appOf(t, { shop: { dir: folder(t, content) } }, { a: { template: 'shop' }, b: {} }, {}, log.server)
    t.equal((await send(app, 'a')).statusCode, 503)
    t.equal((await send(app, 'b')).statusCode, 404, 'a tenant without the template is unharmed')
    const [line] = log.of('template failed to load')
    const text = JSON.stringify(line)
    t.match(line, { template: 'shop' })
    t.match(text, /Many tenants share the template 'shop'/)
    t.match(text, /request\.tenant/)
    t.ok(text.includes(file), text)
  })
}

t.test('other plugins keep their own options of these names', async t => {
  const app = appOf(t, {
    shop: {
      plugin: async (scope, options) => {
        t.same(Object.keys(options), ['template'])
        t.same({ ...options }, { template: { name: 'shop', generation: 1 } }, 'it can be copied and printed')
        await scope.register(async (_child: FastifyInstance, given: object) => { t.same(given, { config: 1, tenant: 2 }) }, { config: 1, tenant: 2 } as object)
        await scope.register(async (_child: FastifyInstance, given: object) => { t.equal(Reflect.get(given, 'config'), 3) }, { ...options, config: 3 } as object)
        await scope.register(async (_child: FastifyInstance, given: object) => {
          t.throws(() => Reflect.get(given, 'config'), { code: 'FST_TENANT_TEMPLATE_SHARED' }, 'options that are passed on are still those of the template')
        }, { ...options })
        scope.get('/', async () => 'reached')
      }
    }
  } satisfies MultitenantOptions['templates'], { a: { template: 'shop' } })
  await send(app, 'a')
})

t.test('a tenant on a template inherits its decorators, hooks, schemas and error handler, whether it has own code or not', async t => {
  const app = appOf(t, {
    shop: {
      plugin: async scope => {
        scope.decorate('shared', 'of the template')
        scope.decorateRequest('late', null)
        scope.addSchema({ $id: 'number', type: 'number' })
        scope.addHook('onRequest', async (request, reply) => { reply.header('x-hook', request.tenantId as string) })
        scope.setErrorHandler(async (error: Error, request, reply) => reply.code(418).send(`${request.tenantId}: ${error.message}`))
        scope.get('/throws', async () => { throw new Error('of the template') })
      }
    }
  }, {
    a: { template: 'shop' },
    own: {
      template: 'shop',
      plugin: async scope => {
        scope.get('/own', { schema: { querystring: { type: 'object', properties: { n: { $ref: 'number#' } } } } }, async request => [Reflect.get(scope, 'shared'), request.query, 'late' in request])
        scope.get('/own-throws', async () => { throw new Error('of its own') })
      }
    }
  } satisfies Record<string, InlineTenant>)
  t.match(await send(app, 'a', '/throws'), { statusCode: 418, body: 'a: of the template', headers: { 'x-hook': 'a' } })
  t.match(await send(app, 'own', '/throws'), { statusCode: 418, body: 'own: of the template' })
  t.match(await send(app, 'own', '/own-throws'), { statusCode: 418, body: 'own: of its own', headers: { 'x-hook': 'own' } })
  t.same((await send(app, 'own', '/own?n=1')).json(), ['of the template', { n: 1 }, true])
})

t.test('a template that was created later is found', async t => {
  const dir = folder(t, {})
  const source = new MemorySource({ a: { template: 'late' } })
  const app = appOf(t, join(dir, 'templates'), source)
  t.equal((await send(app, 'a')).statusCode, 503)
  await mkdir(join(dir, 'templates', 'late', 'routes'), { recursive: true })
  await writeFile(join(dir, 'templates', 'late', 'routes', 'index.mjs'), ROUTE)
  await app.multitenant.init('a')
  t.same((await send(app, 'a')).json(), ['late', 'a', 'late', null])
})
