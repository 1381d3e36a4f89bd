import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { on, once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { get as httpGet } from 'node:http'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import cookie from '@fastify/cookie'
import jwt from '@fastify/jwt'
import rateLimit from '@fastify/rate-limit'
import session from '@fastify/session'
import swagger from '@fastify/swagger'
import Fastify from 'fastify'
import fp from 'fastify-plugin'
import t, { type Test } from 'tap'
import ts from 'typescript'
import multitenant, { agree, ConfigurationManager, MultiTenantServer, PluginLoadingStrategy, TenantIdentificationStrategy } from '../../index.ts'
import { TenantManager } from '../../lib/manager.ts'
import * as main from '../../index.ts'
import { postgresTenants } from '../../lib/sources/postgres/postgres.ts'
import { emptyApp } from '../fixtures/http/app.ts'
import { openDatabase } from '../fixtures/postgres/database.ts'
import { anchorOf, GUIDE, openMarkdown, readMarkdown, ROOT } from '../fixtures/readme/markdown.ts'
import { run, start } from '../fixtures/readme/run.ts'
import type { IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { FastifyInstance, FastifyPluginAsync, FastifyRequest } from 'fastify'
import type { InlineTenant, MultitenantOptions, StrategyName, Tenant } from '../../index.ts'
import type { PostgresTenantsOptions } from '../../lib/sources/postgres/postgres.ts'
import type { Block } from '../fixtures/readme/markdown.ts'

const { sections, sectionOf, blocksOf, codeOf, untested } = openMarkdown(...GUIDE)

/** The rows of a section's tables. */
function rowsOf (heading: string): string[][][] {
  return sectionOf(heading).tables
}

function plain (cell: string | undefined): string {
  return (cell ?? '').replaceAll('`', '')
}

/** Writes the blocks that begin with a path to these paths in a folder. */
async function writeFiles (dir: string, blocks: Block[]): Promise<void> {
  for (const { path = '', code } of blocks) {
    await mkdir(dirname(join(dir, path)), { recursive: true })
    await writeFile(join(dir, path), code.replace('port: 3000', 'port: 0'))
  }
}

/** The plugin with these tenants, unless the options name others. */
function withTenants (tenants: Record<string, InlineTenant>): FastifyPluginAsync<MultitenantOptions> {
  return fp(async (app, options: MultitenantOptions) => { app.register(multitenant, { tenants, ...options }) })
}

function as (id: string): { headers: { 'x-tenant-id': string } } {
  return { headers: { 'x-tenant-id': id } }
}

const who: FastifyPluginAsync = async scope => { scope.get('/who', async ({ tenantId }) => tenantId) }

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

/** Starts the program of some blocks in a folder. `shell` runs a command against it. */
async function startProgram (t: Test, blocks: Block[]): Promise<{ dir: string, shell: (command: string) => Promise<string> }> {
  const dir = t.testdir()
  await writeFiles(dir, blocks)
  const program = start(dir, 'app.js')
  t.teardown(() => program.kill())
  let url = ''
  for await (const [line] of on(createInterface({ input: program.stdout! }), 'line', { close: ['close'] })) {
    url = /Server listening at (.*)"/.exec(line)?.[1] ?? ''
    if (url !== '') break
  }
  return { dir, shell: command => run(dir, 'sh', '-c', command.replace('curl localhost:3000', `curl -gs ${url}`)) }
}

/** Runs the commands of a console block, and compares what they print. */
async function runConsole (t: Test, code: string, shell: (command: string) => Promise<string>): Promise<void> {
  for (const exchange of code.split(/^\$ /m).slice(1)) {
    const [command, answer] = exchange.split('\n') as [string, string]
    t.equal(await shell(command), answer, command)
  }
}

t.test('Usage', async t => {
  const { dir, shell } = await startProgram(t, blocksOf('Usage', 'js'))
  await runConsole(t, codeOf('Usage', 'console'), shell)
  await mkdir(join(dir, 'tenants/initech'))
  t.equal(await shell("curl localhost:3000/me -H 'x-tenant-id: initech'"), '{"tenant":"initech"}', 'a folder that is added is a new customer')
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

  t.test('four config keys are reserved', async t => {
    const extra = "export default async app => { app.get('/extra', async ({ tenant: { config } }) => [config.id, config.name]) }"
    const project = t.testdir({
      acme: { 'config.json': '{ "plugins": ["file:extra.mjs", "npm:audit"] }', 'extra.mjs': extra, node_modules: { audit: { 'package.json': '{ "main": "audit.mjs" }', 'audit.mjs': 'export default async app => { app.get("/audit", async () => "audited") }' } } },
      globex: { 'config.json': '{ "active": false }' },
      initech: { 'config.json': '{ "id": "acme" }' }
    })
    const app = emptyApp(t)
    app.register(multitenant, { tenants: project })
    t.strictSame((await app.inject({ url: '/extra', ...as('acme') })).json(), ['acme', 'acme'])
    t.equal((await app.inject({ url: '/audit', ...as('acme') })).body, 'audited')
    t.match((await app.inject({ url: '/', ...as('globex') })).json(), { code: 'FST_TENANT_NOT_FOUND' })
    t.match((await app.inject({ url: '/', ...as('initech') })).json(), { code: 'FST_TENANT_LOAD_FAILED' })
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

t.test('Options', async t => {
  const [rows = []] = rowsOf('Options')
  const options = declarations('types/options.ts').filter(ts.isInterfaceDeclaration).find(({ name }) => name.text === 'MultitenantOptions')

  t.test('the table lists every option', async t => {
    const app = emptyApp(t)
    app.register(multitenant, { unheardOf: 1 } as MultitenantOptions)
    const message = await app.ready().then(() => '', (error: Error) => error.message)
    const taken = message.replace(/^.* options are /, '').split(', ')
    t.strictSame(rows.map(([name]) => plain(name)).sort(), taken.sort())
    t.strictSame(options?.members.map(({ name }) => name?.getText()).sort(), taken.sort())
  })

  t.test('the table has the defaults that the TSDoc documents', async t => {
    const readable = (value: string): string => plain(value).replace(/(?<=\d),(?=\d)/g, '')
    const documented = options?.members.map(member => {
      const comment = ts.getJSDocCommentsAndTags(member).map(({ comment }) => comment).join(' ')
      return `${member.name?.getText()}: ${readable(/Default: (.*)\.$/.exec(comment)?.[1] ?? 'none')}`
    })
    t.strictSame(rows.map(([name, value = '']) => `${plain(name)}: ${readable(value)}`).sort(), documented?.sort())
  })
})

t.test('Errors', async t => {
  const app = emptyApp(t)
  app.register(multitenant, { tenants: {} })
  await app.ready()
  const logged: unknown[] = []
  app.log.info = (...line: unknown[]) => { logged.push(...line) }
  const code = codeOf('Errors', 'js').replace(/^import .*$/m, '')
  const AsyncFunction = Object.getPrototypeOf(async () => {}).constructor
  await new AsyncFunction('app', 'FST_TENANT_NOT_FOUND', code)(app, main.FST_TENANT_NOT_FOUND)
  t.strictSame(logged, ['hooli is not a customer yet'])
})

t.test('Decorators', async t => {
  const [decorators = [], manager = [], ofTenant = []] = rowsOf('Decorators')

  t.test('are those of the types', async t => {
    const [augmentation] = declarations('types/fastify.ts').filter(ts.isModuleDeclaration)
    const owner: Record<string, string> = { FastifyInstance: 'app', FastifyRequest: 'request' }
    const declared = (augmentation?.body as ts.ModuleBlock).statements.filter(ts.isInterfaceDeclaration)
      .filter(({ name }) => owner[name.text] !== undefined)
      .flatMap(({ name, members }) => members.map(member => `${owner[name.text]}.${member.name?.getText()}`))
    t.strictSame(decorators.map(([name]) => plain(name)).sort(), declared.sort())
  })

  t.test('app.multitenant has the listed methods', async t => {
    const methods = Object.getOwnPropertyNames(TenantManager.prototype).filter(name => name !== 'constructor')
    t.strictSame(manager.map(([call]) => plain(call).replace(/\(.*/, '')).sort(), methods.sort())
  })

  t.test('a tenant has the listed properties', async t => {
    const app = emptyApp(t)
    app.register(multitenant, { tenants: { acme: { config: { name: 'Acme Inc.', secret: 'xyzzy' } } } })
    await app.ready()
    const tenant = await app.multitenant.init('acme')
    const names = [...Object.keys(tenant), ...Object.getOwnPropertyNames(Object.getPrototypeOf(tenant))]
      .filter(name => !['constructor', 'toString', 'toJSON'].includes(name))
    t.strictSame(ofTenant.map(([name]) => plain(name).replace(/\(.*/, '')).sort(), names.sort())
    t.equal(`${tenant}`, 'acme')
    t.strictSame(JSON.parse(JSON.stringify(tenant)), { id: 'acme', name: 'Acme Inc.', state: 'active', generation: 1, services: [] })
    t.throws(() => tenant.getService('Mail'), { code: 'FST_TENANT_SERVICE_NOT_FOUND' })
  })

  t.test('preload is for onReady hooks', async t => {
    const app = emptyApp(t)
    app.register(multitenant, { tenants: { acme: {} } })
    app.addHook('onReady', async () => { await app.multitenant.preload('acme') })
    await app.ready()
    t.equal(app.multitenant.get('acme')?.state, 'active')
  })
})

t.test('TypeScript', async t => {
  const code = codeOf('TypeScript', 'ts')
  t.strictSame(await faults(t, code), [])
  t.match(await faults(t, code.replace('config.plan}', 'config.plann}')), [/Property 'plann' does not exist/], 'the augmentation counts')
  t.match(await faults(t, code.replace('owner.name', 'owner.nam')), [/Property 'nam' does not exist/])
})

t.test('A whole server', async t => {
  const heading = 'A whole server'
  const [tree = ''] = blocksOf(heading, 'text').map(({ code }) => code)
  const [program] = blocksOf(heading, 'js')

  /** The tree of the text, with its program. */
  async function project (t: Test): Promise<string> {
    const contents: Record<string, string> = {
      'package.json': '{ "type": "module" }',
      '.env': 'LOG_LEVEL=info\n',
      'src/plugins/database/index.js': "export default async app => { app.decorate('db', 'a database'); app.get('/db', async ({ tenantId }) => [tenantId, app.db]) }",
      'src/tenants/acme/config.js': "export default { plan: 'pro' }"
    }
    const dir = t.testdir()
    t.strictSame(pathsOf(tree).sort(), [...Object.keys(contents), 'server.js'].sort())
    await mkdir(join(dir, 'node_modules/.bin'), { recursive: true })
    await symlink(ROOT, join(dir, 'node_modules/fastify-multitenant'))
    await writeFiles(dir, [...Object.entries(contents).map(([path, code]) => ({ language: 'js', path, code })), program as Block])
    return dir
  }

  t.test('the program runs', async t => {
    const server = start(await project(t), 'server.js')
    t.teardown(() => server.kill('SIGKILL'))
    const lines = on(createInterface({ input: server.stdout! }), 'line', { close: ['close'] })
    const { url, warm } = await firstLines(lines)
    t.match(warm, { id: 'acme', plan: 'pro' })
    t.strictSame(await (await fetch(`${url}/health`)).json(), { ok: true })
    t.strictSame(await (await fetch(`${url}/db`, as('acme'))).json(), ['acme', 'a database'])
    t.equal((await fetch(`${url}/db`)).status, 400)
    server.kill('SIGTERM')
    t.strictSame(await once(server, 'exit'), [0, null])
  })

  t.test('the command runs without the program', async t => {
    const [, command = ''] = /`(npx fastify-multitenant [^`]+)`/.exec(sectionOf(heading).text) ?? []
    const dir = await project(t)
    const bin = join(ROOT, 'dist/lib/cli/bin.js')
    await writeFile(join(dir, 'node_modules/.bin/fastify-multitenant'), `#!/bin/sh\nexec "${process.execPath}" "${bin}" "$@"\n`, { mode: 0o755 })
    const help = await run(dir, 'sh', '-c', 'npx fastify-multitenant --help')
    const [name, ...given] = command.replace(/^npx /, '').split(' ')
    for (const option of given.filter(word => word.startsWith('--'))) t.match(help, option)
    const server = start(dir, `node_modules/.bin/${name}`, given.map(word => word === '3000' ? '0' : word), 'sh')
    t.teardown(() => server.kill('SIGKILL'))
    const { url } = await firstLines(on(createInterface({ input: server.stdout! }), 'line', { close: ['close'] }), false)
    t.strictSame(await (await fetch(`${url}/db`, as('acme'))).json(), ['acme', 'a database'])
    server.kill('SIGTERM')
    t.strictSame(await once(server, 'exit'), [0, null])
  })

  t.test('the table has the keys, their defaults and the environment variables', async t => {
    const variables = ['PORT', 'HOST', 'LOG_LEVEL', 'MAX_CONCURRENT_TENANTS', 'TENANTS_PATH', 'PLUGINS_PATH']
    for (const name of variables) Reflect.deleteProperty(process.env, name)
    const { root, fastify, multitenant, ...sections } = new ConfigurationManager({ root: t.testdir() }).get()
    const [rows = []] = rowsOf(heading)
    const listed = rows.map(([section, keys = '']) => [plain(section), [...keys.matchAll(/`(\w+)` \(([^;)]+)/g)].map(([, key, value]) => [key, value])])
    const readable = (value: unknown): string => value === undefined ? 'none' : JSON.stringify(value).replaceAll('"', "'")
    t.same(Object.fromEntries(listed.map(([section, keys]) => [section, Object.fromEntries(keys as string[][])])), Object.fromEntries(
      Object.entries(sections).map(([section, keys]) => [section, Object.fromEntries(Object.entries(keys).map(([key, value]) => [key, readable(value)]))])
    ))
    t.strictSame(rows.flatMap(([, , names]) => plain(names).split(', ')), variables)
    for (const key of Object.keys({ root, fastify, multitenant })) t.ok(sectionOf(heading).text.includes(`\`${key}\` (`), key)
  })

  t.test('the server has the named methods and properties', async t => {
    const server = new MultiTenantServer({ root: t.testdir({ src: { tenants: {} } }) })
    t.teardown(() => server.app.close())
    const names = [...Object.keys(server), ...Object.getOwnPropertyNames(MultiTenantServer.prototype)].filter(name => name !== 'constructor')
    const { text, blocks } = sectionOf(heading)
    for (const name of names) t.match(`${text}${blocks.map(({ code }) => code).join()}`, new RegExp(`[\`.]${name}\\b`), name)
  })
})

/** The paths of the files in a tree that is drawn with two spaces per level: `src/` above `index.js`. */
function pathsOf (tree: string): string[] {
  const folders: string[] = []
  return tree.trimEnd().split('\n').slice(1).flatMap(line => {
    const [, indent = '', name = ''] = /^( +)(\S+)/.exec(line) ?? []
    const level = indent.length / 2 - 1
    folders.length = level
    if (!name.endsWith('/')) return [folders.join('') + name]
    folders.push(name)
    return []
  })
}

/** Reads a server's log until it listens and, if its program says so, its tenant is loaded. */
async function firstLines (lines: AsyncIterable<string[]>, warms = true): Promise<{ url: string, warm: object }> {
  let url = ''
  let warm: { msg?: string } = {}
  for await (const [line = ''] of lines) {
    url ||= /Server listening at (http:[^"]+)/.exec(line)?.[1] ?? ''
    if (line.includes('"warm"')) warm = JSON.parse(line)
    if (url !== '' && (!warms || warm.msg !== undefined)) break
  }
  return { url, warm }
}

/** The compiler's errors in a module that imports the built package. */
async function faults (t: Test, code: string): Promise<string[]> {
  const file = join(t.testdir(), 'app.ts')
  await writeFile(file, code)
  const config = ts.readConfigFile(join(ROOT, 'tsconfig.json'), ts.sys.readFile).config
  const { options } = ts.parseJsonConfigFileContent({ ...config, files: [file], include: [] }, ts.sys, ROOT)
  const program = ts.createProgram([file], { ...options, noEmit: true })
  return ts.getPreEmitDiagnostics(program).map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'))
}

/** The statements of one of the package's own files. */
function declarations (file: string): ts.Statement[] {
  return [...ts.createSourceFile(file, ts.sys.readFile(join(ROOT, file)) ?? '', ts.ScriptTarget.Latest, true).statements]
}

const AsyncFunction = (async () => {}).constructor as new (...parameters: string[]) => (...given: unknown[]) => Promise<unknown>

/** Runs a fragment with the variables that it uses, and returns the value of the expression `returning`. */
function fragment (heading: string, given: Record<string, unknown>, returning = ''): Promise<unknown> {
  const code = codeOf(heading, 'js').replaceAll("'/srv/tenants/standard'", JSON.stringify(join(ROOT, 'test/fixtures/readme/standard')))
  return new AsyncFunction(...Object.keys(given), `${code}\nreturn ${returning}`)(...Object.values(given))
}

const recipes: Record<string, (t: Test, app: FastifyInstance, heading: string) => Promise<void>> = {
  async 'Users of one tenant only' (t, app, heading) {
    const userOf = async (tenant: string, { user }: { user: string }): Promise<object> => ({ user, tenant: 'not of this', of: tenant })
    await fragment(heading, { app, jwt, agree, userOf, multitenant: withTenants({ acme: { plugin: who }, globex: {} }), process: { env: { JWT_SECRET: 'secret' } } })
    app.get('/shared', async ({ tenantId }) => tenantId)
    const login = await app.inject({ method: 'POST', url: '/login', payload: { user: 'ann' }, ...as('acme') })
    const authorization = `Bearer ${login.body}`
    for (const url of ['/who', '/shared']) {
      t.equal((await app.inject({ url, headers: { authorization, 'x-tenant-id': 'acme' } })).body, 'acme')
      t.equal((await app.inject({ url, headers: { authorization, 'x-tenant-id': 'globex' } })).statusCode, 403)
      t.equal((await app.inject({ url, headers: { authorization: 'Bearer acme', 'x-tenant-id': 'acme' } })).statusCode, 401)
      t.equal((await app.inject({ url, ...as('acme') })).statusCode, 400)
      t.equal((await app.inject({ url, headers: { authorization } })).body, 'acme')
    }
  },

  async 'The tenant of a session' (t, app, heading) {
    await fragment(heading, { app, cookie, session, multitenant: withTenants({ acme: { plugin: who } }), tenantOf: async ({ user }: { user: string }) => user === 'Wile E.' ? 'acme' : undefined, process: { env: { SESSION_SECRET: 's'.repeat(32) } } })
    const login = await app.inject({ method: 'POST', url: '/login', payload: { user: 'Wile E.' } })
    t.equal(login.body, 'Welcome')
    const { name, value } = login.cookies[0] as { name: string, value: string }
    t.equal((await app.inject({ url: '/who', cookies: { [name]: value } })).body, 'acme')
    t.equal((await app.inject('/who')).statusCode, 404)
  },

  async 'Rate limits' (t, app, heading) {
    await fragment(heading, { app, rateLimit, multitenant: withTenants({ acme: { plugin: who } }) })
    const left = async (app: FastifyInstance, id: string): Promise<unknown> => {
      const { statusCode, headers } = await app.inject({ url: '/who', ...as(id) })
      return [statusCode, headers['x-ratelimit-remaining']]
    }
    t.strictSame(await left(app, 'acme'), [200, '99'])
    t.strictSame(await left(app, 'hooli'), [404, '99'])
    t.strictSame(await left(app, 'initech'), [404, '98'], 'refused requests count, by address')
    t.strictSame(await left(app, 'acme'), [200, '98'], 'and tenants have counts of their own')

    const global = emptyApp(t)
    await global.register(rateLimit, { max: 100 })
    global.register(multitenant, { tenants: { acme: { plugin: who } } })
    t.strictSame(await left(global, 'hooli'), [404, undefined])
    t.strictSame(await left(global, 'acme'), [200, '99'], 'with global: true what is refused is free')
  },

  async 'A cache' (t, _app, heading) {
    /** The prices that acme and globex get, in turn. */
    const told = async (t: Test, code: string): Promise<string[]> => {
      const app = emptyApp(t)
      app.register(multitenant, { tenants: { acme: {}, globex: {} } })
      const run = new AsyncFunction('app', 'cache', 'pricesOf', code)
      await run(app, new Map(), async (tenant: string) => `prices of ${tenant}`)
      const tell = async (id: string): Promise<string> => (await app.inject({ url: '/prices', ...as(id) })).body
      return [await tell('acme'), await tell('globex'), await tell('acme')]
    }
    const code = codeOf(heading, 'js')
    t.strictSame(await told(t, code), ['prices of acme', 'prices of globex', 'prices of acme'])
    t.strictSame(await told(t, code.replace(/key = .*/, 'key = originalUrl')), ['prices of acme', 'prices of acme', 'prices of acme'], 'negative control: a key without the tenant')
  },

  async 'A strategy of your own' (t, app, heading) {
    const findTenantByKey = async (key: string): Promise<string> => {
      if (key === '42') return 'acme'
      throw Object.assign(new Error('No such key'), { statusCode: 401 })
    }
    await fragment(heading, { app, TenantIdentificationStrategy, findTenantByKey, multitenant: withTenants({ acme: { plugin: who }, globex: { plugin: who } }) })
    t.equal((await app.inject({ url: '/who', headers: { 'x-api-key': '42' } })).body, 'acme')
    t.equal((await app.inject({ url: '/who', headers: { host: 'globex.example.com' } })).body, 'globex')
    t.equal((await app.inject({ url: '/who', headers: { host: 'globex.example.com', 'x-api-key': '43' } })).statusCode, 401)
  },

  async 'Tenants in code, or in a database' (t, app, heading) {
    const templates = t.testdir({ standard: { routes: { 'root.mjs': "export default async (app, { config }) => app.get('/plan', async () => config.plan)" } } })
    const database = await openDatabase(t)
    const schema = database.newSchema()
    await fragment(heading, {
      app,
      multitenant,
      postgresTenants: (options: PostgresTenantsOptions) => postgresTenants({ ...options, templates, schema }),
      process: { env: { DATABASE_URL: database.connectionString } }
    })
    t.equal((await app.inject({ url: '/hello', ...as('demo') })).body, 'I am demo')
    t.equal((await app.inject({ url: '/plan', ...as('acme') })).statusCode, 404)
    const insert = /`(insert .*?)`/.exec(sectionOf(heading).text)?.[1] ?? ''
    await database.query(insert.replace('multitenant.', `${schema}.`))
    await app.multitenant.init('acme')
    t.equal((await app.inject({ url: '/plan', ...as('acme') })).body, 'pro')
    t.strictSame(await app.multitenant.list(), ['demo', 'acme'])
    await database.stop()
    t.equal((await app.inject({ url: '/plan', ...as('acme') })).body, 'pro')
    t.equal((await app.inject({ url: '/plan', ...as('globex') })).statusCode, 503, 'a failure is not "not found"')
  },

  async 'Plugins from elsewhere' (t, app, heading) {
    const bucket: Record<string, FastifyPluginAsync> = { 'acme/extra.mjs': fp(who) }
    const pluginFromBucket = async (key: string): Promise<unknown> => bucket[key]
    const named = /`(bucket:[^`]+)`/.exec(sectionOf(heading).text)?.[1] ?? ''
    await fragment(heading, { app, PluginLoadingStrategy, pluginFromBucket, multitenant: withTenants({ acme: { config: { plugins: [named] } }, globex: { config: { plugins: ['s4:x'] } } }) })
    t.equal((await app.inject({ url: '/who', ...as('acme') })).body, 'acme')
    const failed = await app.multitenant.init('globex').then(() => null, (error: Error) => error.cause)
    t.match(failed, { code: 'FST_TENANT_SCHEME_UNKNOWN', message: /file, npm, bucket$/ })
  },

  async Administration (t, app, heading) {
    app.register(multitenant, { tenants: { acme: { plugin: who } }, required: true })
    const requireAdmin = async ({ headers }: FastifyRequest): Promise<void> => {
      if (headers.authorization === undefined) throw Object.assign(new Error('Who are you?'), { statusCode: 401 })
    }
    await fragment(heading, { app, requireAdmin })
    const headers = { authorization: 'root' }
    t.equal((await app.inject('/admin/tenants')).statusCode, 401)
    t.match((await app.inject({ url: '/admin/tenants', headers })).json(), { total: 1, active: 0 })
    t.equal((await app.inject({ url: '/who', ...as('acme') })).body, 'acme')
    t.strictSame((await app.inject({ method: 'POST', url: '/admin/tenants/acme/reload', headers })).json(), { generation: 2 })
    t.equal((await app.inject({ method: 'POST', url: '/admin/tenants/hooli/reload', headers })).statusCode, 404)
    t.match((await app.inject({ method: 'POST', url: '/admin/tenants/acme/suspend', headers })).json(), { drained: true })
    t.match((await app.inject({ url: '/who', ...as('acme') })).json(), { code: 'FST_TENANT_SUSPENDED' })
  },

  async Jobs (t, app, heading) {
    const sent: boolean[] = []
    const plugin: FastifyPluginAsync = async scope => { scope.decorate('sent', sent) }
    const dir = t.testdir({ services: { 'ReportService.js': 'export default app => ({ send: async ({ signal }) => { app.sent.push(signal.aborted) } })' } })
    app.register(multitenant, { tenants: { acme: { plugin, dir }, globex: { plugin, dir } }, services: ({ app }) => [app] })
    await app.ready()
    await fragment(heading, { app })
    t.strictSame(sent, [false, false], 'each sent its reports, and was not aborted')
  },

  async 'OpenAPI of your own routes' (t, app, heading) {
    const ran: string[] = []
    app.register(multitenant, { tenants: { acme: { plugin: who } } })
    app.register(async docs => { docs.addHook('onRoute', ({ url }) => { ran.push(url) }) })
    await fragment(heading, { app, swagger })
    t.equal((await app.inject({ url: '/me', ...as('acme') })).body, 'acme')
    t.equal((await app.inject({ url: '/who', ...as('acme') })).body, 'acme')
    t.strictSame(Object.keys((await app.inject('/openapi.json')).json().paths), ['/me'])
    t.strictSame(ran, [], 'the hooks of a child do not reach tenants')
  },

  async "Errors in the tenant's words" (t, app, heading) {
    const fail = async (): Promise<never> => { throw Object.assign(new Error('secret'), { code: 'SOLD_OUT', statusCode: 409 }) }
    await fragment(heading, { app })
    app.register(multitenant, { tenants: { acme: { config: { messages: { SOLD_OUT: 'No anvils left' } }, plugin: async scope => { scope.get('/own', fail) } }, globex: {} } })
    app.get('/shared', fail)
    for (const url of ['/own', '/shared']) {
      const answer = await app.inject({ url, ...as('acme') })
      t.equal(answer.statusCode, 409)
      t.strictSame(answer.json(), { error: 'No anvils left' })
    }
    t.strictSame((await app.inject({ url: '/shared', ...as('globex') })).json(), { error: 'Something went wrong' })
    t.strictSame((await app.inject('/shared')).json(), { error: 'Something went wrong' })
  },

  async 'Testing a tenant' (t, app, heading) {
    app.register(multitenant, { tenants: { acme: { plugin: async scope => { scope.get('/reports', async ({ tenantId }) => `reports of ${tenantId}`) } } } })
    app.get('/me', async ({ tenantId }) => tenantId)
    t.match(await fragment(heading, { app }, '{ shared, own }'), { shared: { body: 'acme' }, own: { body: 'reports of acme' } })
    t.equal((await app.multitenant.get('acme')?.app.inject({ url: '/reports', ...as('globex') }))?.body, 'reports of acme')
  },

  async Tracing (t, app, heading) {
    const lines: unknown[] = []
    const log = { info: (fields: object, event: string) => lines.push([event, fields]) }
    await fragment(heading, {
      app: { log },
      subscribe (name: string, listener: () => void) {
        subscribe(name, listener)
        t.teardown(() => unsubscribe(name, listener))
      }
    })
    let fails = false
    app.register(multitenant, {
      tenants: { acme: { plugin: async () => { if (fails) throw new Error('fails') } }, globex: {} },
      maxActive: 1
    })
    await app.ready()
    await app.multitenant.init('acme')
    await (await app.multitenant.reload('acme')).drain
    fails = true
    await t.rejects(app.multitenant.reload('acme'))
    await app.multitenant.init('globex')
    t.strictSame(lines.filter(line => (line as string[])[0] !== 'drain'), [
      ['load', { id: 'acme', generation: 1 }],
      ['reload', { id: 'acme', generation: 2 }],
      ['fail', { id: 'acme', generation: 3 }],
      ['evict', { id: 'acme', generation: 2 }],
      ['load', { id: 'globex', generation: 1 }]
    ])
    t.ok(lines.some(line => (line as string[])[0] === 'drain'))
    await logLines(t)
  }
}

/** Checks the claims of the recipe for tracing about the lines that Fastify writes. */
async function logLines (t: Test): Promise<void> {
  interface Line { msg: string, reqId?: string, tenantId?: string, req?: { url: string } }
  for (const [order, first] of [['first', 'acme'], ['registered', undefined]] as const) {
    const lines: Line[] = []
    const app = Fastify({ logger: { stream: { write: (line: string) => { lines.push(JSON.parse(line)) } } } })
    t.teardown(() => app.close())
    const plugin: FastifyPluginAsync = async scope => {
      scope.get('/own', async () => 'own')
      scope.get('/quiet', { logLevel: 'error' }, async () => 'quiet')
    }
    app.register(multitenant, { order, identify: 'path', tenants: { acme: { plugin } } })
    await app.inject('/acme/own')
    const [incoming, completed] = lines.filter(({ reqId }) => reqId !== undefined)
    t.match([incoming?.msg, incoming?.tenantId, completed?.tenantId], ['incoming request', first, 'acme'], order)
    t.equal(incoming?.req?.url, order === 'first' ? '/own' : '/acme/own')
    lines.length = 0
    await app.inject('/acme/quiet')
    t.equal(lines.length, order === 'first' ? 0 : 1)
  }
}

t.test('Recipes', async t => {
  const [, ...headings] = sections.filter(({ file }) => file === 'docs/recipes.md').map(({ heading }) => heading)
  t.strictSame(headings, Object.keys(recipes))
  for (const [heading, check] of Object.entries(recipes)) {
    t.test(heading, async t => check(t, emptyApp(t), heading))
  }
})

/** The checks of the documented limits. When a limit goes away, its check fails. */
const limits: Record<string, (t: Test, app: FastifyInstance) => Promise<void>> = {
  async 'A tenant is not a sandbox.' (t) {
    const program = (code: string): string => `
        import Fastify from 'fastify'
        import multitenant from 'fastify-multitenant'
        const app = Fastify()
        app.register(multitenant, { tenants: { acme: { plugin: async () => { ${code} } } } })
        await app.inject({ url: '/', headers: { 'x-tenant-id': 'acme' } })
        await new Promise(resolve => setTimeout(resolve, 60_000))`
    const dir = t.testdir({
      'exit.js': program('process.exit(7)'),
      'timer.js': program("setTimeout(() => { throw new Error('in a timer') })"),
      'rejection.js': program("Promise.reject(new Error('for nobody'))")
    })
    t.strictSame(await once(start(dir, 'exit.js'), 'exit'), [7, null])
    t.strictSame(await once(start(dir, 'timer.js'), 'exit'), [1, null])
    t.strictSame(await once(start(dir, 'rejection.js'), 'exit'), [1, null])
  },

  async 'Node keeps ES modules for ever.' (t, app) {
    setFlagsFromString('--expose-gc')
    const collect: () => void = runInNewContext('gc')
    const tenants = t.testdir({ acme: { plugins: { 'mark.js': "export const mark = {}\nexport default async app => { app.decorate('mark', mark) }" } } })
    app.register(multitenant, { tenants })
    await app.ready()
    const mark = async (): Promise<WeakRef<object>> => new WeakRef(Reflect.get((await app.multitenant.init('acme')).app, 'mark'))
    const first = await mark()
    await (await app.multitenant.reload('acme', { code: false })).drain
    t.equal((await mark()).deref(), first.deref(), 'without code it is the same module')
    await (await app.multitenant.reload('acme')).drain
    t.not((await mark()).deref(), first.deref(), 'with code it is another')
    // A WeakRef keeps its object until the current job has ended.
    await new Promise(resolve => { setImmediate(resolve) })
    collect()
    t.not(first.deref(), undefined, 'the old one stays')
  },

  async 'WebSockets.' (t, app) {
    const plugin: FastifyPluginAsync = async scope => {
      scope.server.on('upgrade', (_raw, socket) => socket.end('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n'))
      scope.get('/', async () => 'plain HTTP')
    }
    app.register(multitenant, { tenants: { acme: { plugin }, globex: { plugin } } })
    await app.listen({ host: '127.0.0.1', port: 0 })
    const { port } = app.server.address() as AddressInfo
    const upgrade = async (id: string): Promise<number | undefined> => {
      const client = httpGet({ host: '127.0.0.1', port, agent: false, headers: { ...as(id).headers, connection: 'upgrade', upgrade: 'echo' } })
      const [answer] = await Promise.race([once(client, 'upgrade'), once(client, 'response')]) as [IncomingMessage]
      client.destroy()
      return answer.statusCode
    }
    t.equal(await upgrade('acme'), 200)
    t.equal(await upgrade('acme'), 101)
    t.equal(await upgrade('globex'), 101, 'another cold tenant is reached')
  },

  async 'App-wide `onRoute` hooks' (t, app) {
    const seen: string[] = []
    await app.register(swagger)
    app.addHook('onRoute', ({ url, method }) => { if (method === 'GET') seen.push(url) })
    const plugin: FastifyPluginAsync = async scope => { await who(scope.addSchema({ $id: 'user', type: 'object' }), {}) }
    app.register(multitenant, { tenants: { acme: { plugin }, globex: {} } })
    await app.ready()
    t.strictSame(seen, [])
    await app.multitenant.init('acme')
    t.strictSame(seen, ['/who'])
    t.match(app.swagger(), { definitions: {}, paths: { '/who': {} } })
    t.strictSame(Object.keys((app.swagger() as { definitions: object }).definitions), [], 'of the schemas there is none')
    await app.multitenant.reload('acme')
    t.strictSame(seen, ['/who', '/who'])
    await app.multitenant.unload('acme')
    t.ok(app.swagger().paths?.['/who'], 'the document tells of what is gone, and of all customers')

    const own = emptyApp(t)
    own.register(multitenant, { tenants: { acme: { plugin: async scope => { await scope.register(swagger); await who(scope, {}) } }, globex: { plugin: who } } })
    own.get('/shared', async () => 'shared')
    await own.ready()
    await own.multitenant.init('globex')
    t.strictSame(Object.keys((await own.multitenant.init('acme')).app.swagger().paths ?? {}), ['/who'])
  },

  async "Application hooks are the tenant's." (t, app) {
    const ran: string[] = []
    const noting = (name: string): FastifyPluginAsync => fp(async app => {
      app.addHook('onReady', async () => { ran.push(`${name} onReady`) })
      app.addHook('onListen', async () => { ran.push(`${name} onListen`) })
      app.addHook('preClose', async () => { ran.push(`${name} preClose`) })
      app.addHook('onClose', async () => { ran.push(`${name} onClose`) })
    })
    app.register(noting('app'))
    app.register(multitenant, { tenants: { acme: { plugin: noting('acme') }, globex: { plugin: noting('globex') } } })
    await app.ready()
    await app.multitenant.init('acme')
    await app.listen({ host: '127.0.0.1', port: 0 })
    await app.multitenant.init('globex')
    await app.multitenant.unload('acme')
    await app.close()
    t.strictSame(ran, [
      'app onReady', 'acme onReady', 'app onListen', 'acme onListen', 'globex onReady', 'globex onListen',
      'acme preClose', 'acme onClose', 'app preClose', 'globex preClose', 'globex onClose', 'app onClose'
    ])
  },

  async '`reply.callNotFound()`' (t, app) {
    app.register(multitenant, {
      tenants: {
        acme: {
          plugin: async scope => {
            scope.setNotFoundHandler(async () => 'by acme')
            scope.get('/own', async (_request, reply) => { reply.callNotFound() })
          }
        }
      }
    })
    app.setNotFoundHandler(async () => 'by the app')
    app.get('/shared', async (_request, reply) => { reply.callNotFound() })
    const answers = await Promise.all(['/own', '/nowhere', '/shared'].map(async url => (await app.inject({ url, ...as('acme') })).body))
    t.strictSame(answers, ['by acme', 'by acme', 'by the app'])
  },

  async '`reply.elapsedTime`' (t, app) {
    let loadedAt = Infinity
    app.register(multitenant, {
      tenants: {
        acme: {
          plugin: async scope => {
            scope.addHook('onReady', async () => { loadedAt = performance.now() })
            scope.get('/', async (_request, reply) => {
              const begunAt = performance.now() - reply.elapsedTime
              return begunAt > loadedAt
            })
          }
        }
      }
    })
    t.equal((await app.inject({ url: '/', ...as('acme') })).body, 'true')
  },

  async 'One process.' (t, app) {
    const tenants = { acme: { plugin: who } }
    const other = emptyApp(t)
    for (const each of [app, other]) {
      each.register(multitenant, { tenants })
      await each.ready()
    }
    await app.multitenant.suspend('acme')
    t.equal((await app.inject({ url: '/who', ...as('acme') })).statusCode, 403)
    t.equal((await other.inject({ url: '/who', ...as('acme') })).statusCode, 200)
  }
}

t.test('Limits', async t => {
  const told = [...sectionOf('Limits').text.matchAll(/^- \*\*(.+?)\*\*/gm)].map(([, title]) => title)
  t.strictSame(told, Object.keys(limits))
  for (const [title, check] of Object.entries(limits)) {
    t.test(title, async t => check(t, emptyApp(t)))
  }
})

t.test('every code block is tested', async t => {
  t.strictSame(untested(), [])
})

t.test('the README has at most 220 lines', async t => {
  t.ok((await readFile(join(ROOT, 'README.md'), 'utf8')).split('\n').length <= 220)
})
