import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import cookie from '@fastify/cookie'
import jwt from '@fastify/jwt'
import Fastify from 'fastify'
import fp from 'fastify-plugin'
import t from 'tap'
import ts from 'typescript'
import multitenant, { TenantIdentificationStrategy } from '../../index.ts'
import * as main from '../../index.ts'
import { emptyApp } from '../fixtures/http/app.ts'
import { anchorOf, readMarkdown, ROOT } from '../fixtures/readme/markdown.ts'
import { runConsole, startProgram } from '../fixtures/readme/program.ts'
import { run } from '../fixtures/readme/run.ts'
import { AsyncFunction, as, blocksOf, codeOf, sectionOf, sections, untested } from '../fixtures/readme/guide.ts'
import { REFERENCE, declarations, plain, rowsOf, writeFiles } from '../fixtures/readme/reference.ts'
import type { FastifyPluginAsync } from 'fastify'
import type { InlineTenant, MultitenantOptions, StrategyName, Tenant } from '../../index.ts'

t.test('links lead to existing files and headings', async t => {
  const pages = (await readdir(join(ROOT, 'docs'))).filter(name => name.endsWith('.md')).map(name => join('docs', name))
  for (const { file, text } of ['README.md', 'CONTRIBUTING.md', ...pages].flatMap(readMarkdown)) {
    for (const [, link = ''] of text.matchAll(/\]\(([^)]+)\)/g)) {
      if (link.startsWith('https://')) continue
      const [path = '', anchor] = link.split('#')
      const target = path === '' ? file : join(dirname(file), path)
      t.ok(existsSync(join(ROOT, target)), `${file} links to ${link}`)
      if (anchor !== undefined) t.ok(readMarkdown(target).some(({ heading }) => anchorOf(heading) === anchor), `${file} links to ${link}`)
    }
  }
})

t.test('Install', async t => {
  const { name, version, peerDependencies, peerDependenciesMeta, engines, scripts } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8'))
  t.strictSame(codeOf('Install', 'sh').trim().split(' '), ['npm', 'install', ...Object.keys(peerDependencies).filter(peer => !peerDependenciesMeta[peer]?.optional), name])
  const versions = [...sectionOf('Install').text.matchAll(/\d+\.[\d.]*\d/g)].map(String)
  t.strictSame(versions, [version.split('.').slice(0, 2).join('.'), peerDependencies.fastify.replace('^', ''), engines.node.replace('>=', '')])
  t.equal(await run(ROOT, process.execPath, '-p', "typeof require('fastify-multitenant').default"), 'function\n', 'require() works')
  for (const command of ['start', 'test']) {
    t.ok(scripts[command])
    t.ok(sections.some(({ text }) => text.includes(`\`npm ci && npm ${command}\``)))
  }
})

t.test('Usage', async t => {
  const { dir, shell } = await startProgram(t, blocksOf('Usage', 'js'))
  await runConsole(t, codeOf('Usage', 'console'), shell)
  await mkdir(join(dir, 'tenants/initech'))
  t.equal(await shell("curl localhost:3000/me -H 'x-tenant-id: initech'"), '{"tenant":"initech"}', 'a folder that is added is a new customer')
})

t.test('Templates', async t => {
  // The app of the section above has no option for templates: they are in the folder in which it starts.
  const { shell } = await startProgram(t, [...blocksOf('Usage', 'js'), ...blocksOf('Templates', 'js')])
  await runConsole(t, codeOf('Templates', 'console'), shell)
})

t.test('Getting started', async t => {
  const steps = sections.filter(({ file, heading }) => file === 'docs/getting-started.md' && heading.startsWith('Step ')).map(({ heading }) => heading)
  const [program, customer, code, , testing] = steps as [string, string, string, string, string]
  const { shell } = await startProgram(t, [program, customer, code].flatMap(step => blocksOf(step, 'js')))
  for (const step of [customer, code]) await runConsole(t, codeOf(step, 'console'), shell)

  const app = emptyApp(t)
  const who: FastifyPluginAsync = async scope => { scope.get('/notes', async ({ tenantId }) => tenantId) }
  app.register(multitenant, { tenants: { acme: { plugin: who } } })
  app.get('/plan', async ({ tenantId }) => `the plan of ${tenantId}`)
  await app.ready()
  const AsyncFunction = Object.getPrototypeOf(async () => {}).constructor
  const { shared, own } = await new AsyncFunction('app', `${codeOf(testing, 'js')}\nreturn { shared, own }`)(app)
  t.strictSame([shared.body, own.body], ['the plan of acme', 'acme'])
})

t.test('the pictures are at most 90 characters wide', async t => {
  for (const heading of ['fastify-multitenant', 'The life of a tenant']) {
    for (const line of codeOf(heading, 'text').split('\n')) t.ok(line.length <= 90, line)
  }
})

t.test('Below a prefix, and twice', async t => {
  const of = (name: string): InlineTenant => ({ plugin: async scope => { scope.get('/', async ({ tenantId }) => `${name} of ${tenantId}`) } })
  const app = emptyApp(t)
  app.register(async child => { child.register(multitenant, { tenants: { acme: of('shop') } }) }, { prefix: '/shop' })
  app.register(async child => { child.register(multitenant, { tenants: { acme: of('blog') } }) }, { prefix: '/blog' })
  t.equal((await app.inject({ url: '/shop', ...as('acme') })).body, 'shop of acme')
  t.equal((await app.inject({ url: '/blog', ...as('acme') })).body, 'blog of acme')
  t.equal((await app.inject({ url: '/', ...as('hooli') })).json().code, undefined, 'elsewhere nobody is identified')

  const other = emptyApp(t)
  other.register(multitenant, { tenants: {}, prefix: '/shop' } as MultitenantOptions)
  await t.rejects(async () => { await other.ready() }, { code: 'FST_TENANT_OPTION_INVALID', message: /'prefix'/ })
})

t.test('Who answers', async t => {
  const layers: Record<string, { app?: FastifyPluginAsync, tenant?: FastifyPluginAsync }> = {
    "the tenant's route": { tenant: async scope => { scope.get('/a', async () => "the tenant's route") } },
    "the app's route": { app: async app => { app.get('/a', async ({ tenantId }) => `the app's route${tenantId === null ? '!' : ''}`) } },
    "the tenant's wildcard": { tenant: async scope => { scope.get('/*', async () => "the tenant's wildcard") } },
    "the app's wildcard": { app: async app => { app.get('/*', async () => "the app's wildcard") } },
    "the tenant's 404 handler": { tenant: async scope => { scope.setNotFoundHandler(async () => "the tenant's 404 handler") } },
    "the app's 404 handler": { app: async app => { app.setNotFoundHandler(async () => "the app's 404 handler") } }
  }
  const [rows = []] = rowsOf('Who answers')
  const order = rows.map(([, name]) => name as string)
  t.strictSame([...order].sort(), Object.keys(layers).sort())
  for (const [at, name] of order.entries()) {
    const there = order.slice(at).map(name => layers[name] ?? {})
    const app = emptyApp(t)
    app.register(multitenant, { tenants: { acme: { plugin: async scope => { for (const { tenant } of there) await tenant?.(scope, {}) } } } })
    for (const { app: addTo } of there) await addTo?.(app, {})
    t.equal((await app.inject({ url: '/a', ...as('acme') })).body, name)
  }
})

t.test('The tenant\'s folder', async t => {
  const dir = t.testdir()
  const heading = "The tenant's folder"
  const files = blocksOf(heading, 'js', 'ini')
  await writeFiles(dir, files)

  t.test('the drawn tree has the same files', async t => {
    const [root, ...entries] = codeOf(heading, 'text').trimEnd().split('\n')
    t.equal(root, 'tenants/acme/')
    const listed = entries.map(line => /^ {2}(\S+)/.exec(line)?.[1])
    const there = await readdir(join(dir, 'tenants/acme'), { withFileTypes: true })
    t.strictSame([...listed].sort(), there.map(entry => entry.isDirectory() ? `${entry.name}/` : entry.name).sort())
  })

  t.test('the files work', async t => {
    const app = emptyApp(t)
    app.register(multitenant, {
      tenants: join(dir, 'tenants'),
      configSchema: { type: 'object', properties: { MAIL_FROM: { type: 'string' }, plan: { type: 'string' } } }
    })
    const post = { method: 'POST', url: '/users', ...as('acme') } as const
    t.strictSame((await app.inject({ url: '/users/1', ...as('acme') })).json(), { name: 'Wile E. Coyote', files: 'files-of-acme' })
    t.strictSame((await app.inject({ ...post, payload: { name: 'Road Runner' } })).json(), { name: 'Road Runner' })
    t.match((await app.inject({ ...post, payload: {} })).json(), { statusCode: 400, message: /'name'/ })

    const tenant = app.multitenant.get('acme') as Tenant
    t.strictSame(tenant.config, { plan: 'pro', bucket: 'files-of-acme', MAIL_FROM: 'hello@acme.example' })
    t.equal(process.env['MAIL_FROM'], undefined)
    t.equal(tenant.name, 'Acme Inc.')
    t.strictSame(tenant.listServices(), ['UserService'])
    t.equal(tenant.app.unsignCookie(tenant.app.signCookie('a')).valid, true)
    t.notOk(app.hasDecorator('signCookie'))

    const db: unknown = Reflect.get(tenant.app, 'db')
    await app.multitenant.unload('acme')
    t.equal((db as Map<string, unknown>).size, 0)
  })

  t.test('the config keys of the table are reserved', async t => {
    const extra = "export default async app => { app.get('/extra', async ({ tenant: { config } }) => [config.id, config.name]) }"
    const project = t.testdir({
      acme: { 'config.json': '{ "plugins": ["file:extra.mjs", "npm:audit"] }', 'extra.mjs': extra, node_modules: { audit: { 'package.json': '{ "main": "audit.mjs" }', 'audit.mjs': 'export default async app => { app.get("/audit", async () => "audited") }' } } },
      globex: { 'config.json': '{ "active": false }' },
      initech: { 'config.json': '{ "id": "acme" }' },
      hooli: { 'config.json': '{ "template": "standard" }' }
    })
    const app = emptyApp(t)
    app.register(multitenant, { tenants: project, templates: { standard: {} } })
    t.strictSame((await app.inject({ url: '/extra', ...as('acme') })).json(), ['acme', 'acme'])
    t.equal((await app.inject({ url: '/audit', ...as('acme') })).body, 'audited')
    t.match((await app.inject({ url: '/', ...as('globex') })).json(), { code: 'FST_TENANT_NOT_FOUND' })
    t.match((await app.inject({ url: '/', ...as('initech') })).json(), { code: 'FST_TENANT_LOAD_FAILED' })
    t.equal((await app.multitenant.init('hooli')).template, 'standard')
  })

  t.test('.env is not read without a schema', async t => {
    const app = emptyApp(t)
    app.register(multitenant, { tenants: join(dir, 'tenants') })
    await app.ready()
    t.strictSame((await app.multitenant.init('acme')).config, { plan: 'pro', bucket: 'files-of-acme' })
  })
})

t.test('Which tenant?', async t => {
  const [rows = []] = rowsOf('Which tenant?')

  t.test('the strategies are those of the types', async t => {
    const alias = declarations('types/identification.ts').find(ts.isTypeAliasDeclaration)
    t.strictSame(rows.map(([name]) => plain(name)).sort(), alias?.type.getText().split(' | ').sort())
  })

  for (const [name, example] of rows) {
    t.test(plain(name), async t => {
      const identify = plain(name).slice(1, -1) as StrategyName
      const app = emptyApp(t)
      app.register(cookie, { secret: 'secret' })
      app.register(jwt, { secret: 'secret' })
      app.register(multitenant, {
        tenants: { acme: { hosts: ['shop.acme.example'], plugin: async scope => { scope.get('/users', async ({ tenantId, originalUrl }) => `${tenantId} ${originalUrl}`) } } },
        identify,
        ...(identify === 'subdomain' && { baseDomain: 'example.com' })
      })
      app.get('/health', async ({ tenantId }) => String(tenantId))
      await app.ready()
      const made: Record<string, string> = { '<signed>': encodeURIComponent(app.signCookie('acme')), '<token>': app.jwt.sign({ tenant: 'acme' }) }
      const [key, value] = plain(example).split(': ') as [string, string?]
      const url = value === undefined ? key : '/users'
      const headers = value === undefined ? {} : { [key]: value.replace(/<\w+>/, what => made[what] ?? '') }
      t.equal((await app.inject({ url, headers })).body, `acme ${url}`)
      t.equal((await app.inject('/health')).body, 'null')
    })
  }

  t.test('the strategies with options can be constructed as shown', async t => {
    const { text } = sectionOf('Which tenant?')
    const made = [...text.matchAll(/`(new (\w+Strategy)\(.*?\))`/g)].map(([, code = '', name = '']) => {
      const make = new AsyncFunction(name, 'baseDomain', `return ${code}`)
      return make(Reflect.get(main, name), 'example.com')
    })
    t.strictSame((await Promise.all(made)).map(strategy => strategy instanceof TenantIdentificationStrategy), Array(4).fill(true))
  })

  t.test('the hosts of folders are in the file that the text names', async t => {
    const [, path = '', code = ''] = /`tenants\/(\S+)`, as `(.+?)`/.exec(sectionOf('Details of each strategy').text) ?? []
    const dir = t.testdir({ acme: {}, [path]: code })
    const app = emptyApp(t)
    app.register(multitenant, { tenants: dir, identify: 'host' })
    app.get('/', async ({ tenantId }) => tenantId)
    for (const host of Object.values(JSON.parse(code) as Record<string, string[]>).flat()) {
      t.equal((await app.inject({ url: '/', headers: { host: host.replace('*', 'any') } })).body, 'acme', host)
    }
  })

  t.test("`order: registered` shows the app's request to earlier hooks", async t => {
    const app = emptyApp(t)
    const seen: unknown[] = []
    app.addHook('onRequest', async ({ is404, routeOptions: { config } }) => { seen.push([is404, { ...config }]) })
    app.register(multitenant, {
      order: 'registered',
      tenants: { acme: { plugin: async scope => { scope.get('/own', { config: { tenant: 'required' } }, async () => 'own') } } }
    })
    t.equal((await app.inject({ url: '/own', ...as('acme') })).body, 'own')
    t.strictSame(seen, [[true, {}]])
  })

  t.test('`trustProxy` decides whether a forwarded host counts', async t => {
    const headers = { host: 'acme.example.com', 'x-forwarded-host': 'globex.example.com' }
    for (const identify of ['subdomain', 'host'] as const) {
      for (const [trustProxy, id] of [[false, 'acme'], [true, 'globex']] as const) {
        const app = Fastify({ trustProxy })
        t.teardown(() => app.close())
        const tenants = { acme: { hosts: ['acme.example.com'] }, globex: { hosts: ['globex.example.com'] } }
        app.register(multitenant, { tenants, identify, ...(identify === 'subdomain' && { baseDomain: 'example.com' }) })
        app.get('/', async ({ tenantId }) => tenantId)
        t.equal((await app.inject({ url: '/', headers })).body, id)
      }
    }
  })
})

t.test('The life of a tenant: what was registered before is closed after', async t => {
  const closed: string[] = []
  const app = Fastify()
  const closing = (name: string): FastifyPluginAsync => fp(async app => { app.addHook('onClose', async () => { closed.push(name) }) })
  app.register(closing('a database'))
  app.register(multitenant, { tenants: { acme: { plugin: closing('acme') } } })
  app.register(closing('what came later'))
  await app.ready()
  await app.multitenant.init('acme')
  await app.close()
  t.strictSame(closed, ['what came later', 'acme', 'a database'])
})

t.test('The life of a tenant: one that comes back runs the code on disk', async t => {
  const tenants = t.testdir({ acme: { routes: { 'root.js': routeAnswering('first') } } })
  const app = emptyApp(t)
  app.register(multitenant, { tenants })
  const answer = async (): Promise<string> => (await app.inject({ url: '/', ...as('acme') })).body
  const change = (to: string): Promise<void> => writeFile(join(tenants, 'acme/routes/root.js'), routeAnswering(to))
  t.equal(await answer(), 'first')
  await change('second')
  t.equal(await answer(), 'first')
  await app.multitenant.unload('acme')
  t.equal(await answer(), 'second')
  await change('third')
  await app.multitenant.reload('acme')
  t.equal(await answer(), 'third')
})

function routeAnswering (text: string): string {
  return `export default async app => { app.get('/', async () => '${text}') }`
}

t.test('every code block is tested', async t => {
  t.strictSame(untested().filter(block => !REFERENCE.test(block) && !block.startsWith('docs/recipes.md')), [])
})

t.test('the README has at most 220 lines', async t => {
  t.ok((await readFile(join(ROOT, 'README.md'), 'utf8')).split('\n').length <= 220)
})
