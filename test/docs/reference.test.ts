import { on, once } from 'node:events'
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import t, { type Test } from 'tap'
import ts from 'typescript'
import multitenant, { ConfigurationManager, MultiTenantServer } from '../../index.ts'
import { TenantManager } from '../../lib/manager.ts'
import * as main from '../../index.ts'
import { emptyApp } from '../fixtures/http/app.ts'
import { ROOT } from '../fixtures/readme/markdown.ts'
import { run, start } from '../fixtures/readme/run.ts'
import { as, blocksOf, codeOf, sectionOf, untested } from '../fixtures/readme/guide.ts'
import { REFERENCE, declarations, plain, rowsOf, writeFiles } from '../fixtures/readme/reference.ts'
import type { MultitenantOptions } from '../../index.ts'
import type { Block } from '../fixtures/readme/markdown.ts'

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

t.test('every code block of the reference is tested', async t => {
  t.strictSame(untested().filter(block => REFERENCE.test(block)), [])
})
