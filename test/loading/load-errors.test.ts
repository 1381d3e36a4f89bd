import { symlink, writeFile } from 'node:fs/promises'
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import multitenant, { MultiTenantServer } from '../../index.ts'
import { appWith, LogLines, refusal, send } from '../fixtures/lifecycle/app.ts'
import { fail, folder } from '../fixtures/loading/load.ts'
import type { FixtureDirContent } from '../fixtures/loading/load.ts'
import type { MultitenantOptions } from '../../index.ts'

/** The error of a folder's load, on one line. */
async function messageOf (t: Test, content: FixtureDirContent): Promise<string> {
  return (await fail(t, folder(t, content))).message.replaceAll('\n', ' ')
}

t.test('an error has the file and the line of its cause', async t => {
  const wrong = 'export const a = 1\n\nexport const b = { x: , }\n'
  const throws = "\nexport default async () => {\n  throw new Error('no db')\n}\n"

  t.test('in a module of the folder', async t => {
    t.match(await messageOf(t, { plugins: { 'a.mjs': throws } }), 'plugins/a.mjs: no db (at plugins/a.mjs:3)')
    t.match(await messageOf(t, { plugins: { 'a.mjs': wrong } }), /^plugins\/a\.mjs: Unexpected token .* \(at plugins\/a\.mjs:3\)$/)
    t.match(await messageOf(t, { plugins: { 'a.cjs': wrong.replaceAll('export ', '') } }), /^plugins\/a\.cjs: Unexpected token .* \(at plugins\/a\.cjs:3\)$/)
    t.match(await messageOf(t, { 'config.mjs': '\nexport default () => { throw new Error("vault is sealed") }' }), 'config.mjs: vault is sealed (at config.mjs:2)')
    t.match(await messageOf(t, { routes: { 'autohooks.mjs': wrong, 'index.mjs': 'export default async () => {}' } }), /^routes\/autohooks\.mjs: Unexpected token .* \(at routes\/autohooks\.mjs:3\)$/)
    t.match(await messageOf(t, { routes: { 'autohooks.mjs': throws, 'index.mjs': 'export default async () => {}' } }), /^routes\/autohooks\.mjs: no db \(at routes\/autohooks\.mjs:3\)$/)
  })

  t.test('in a module that it imports', async t => {
    const imports = "import './lib/one.mjs'\nexport default class {}\n"
    const services = (content: string): FixtureDirContent => ({ 'Mail.mjs': imports, lib: { 'one.mjs': "#!/usr/bin/env node\nimport 'node:fs'\nimport data from './data.json' with { type: 'json' }\nexport * from './two.mjs'\nexport const one = data\n", 'data.json': '{}', 'two.mjs': content } })
    t.match(await messageOf(t, { services: services(wrong) }), /^services\/Mail\.mjs: Unexpected token .* \(at services\/lib\/two\.mjs:3\)$/)
    t.match(await messageOf(t, { services: services("\nthrow new Error('no smtp')") }), 'services/Mail.mjs: no smtp (at services/lib/two.mjs:2)')
    t.match(await messageOf(t, { services: services("\nimport { nothing } from './data.json' with { type: 'json' }") }), /^services\/Mail\.mjs: .*nothing.* \(at services\/lib\/two\.mjs:2\)$/)
    t.match(await messageOf(t, { services: services("\nimport './nowhere.mjs'") }), /^services\/Mail\.mjs: Cannot find module '.*nowhere\.mjs' imported from .*two\.mjs$/)
    t.match(await messageOf(t, { services: { 'Mail.cjs': "require('./lib/two.cjs')", lib: { 'two.cjs': '\n{' } } }), /^services\/Mail\.cjs: Unexpected end of input \(at services\/lib\/two\.cjs:2\)$/)
  })

  t.test('outside of the folder', async t => {
    const root = folder(t, { acme: { 'config.mjs': "import '../lib.mjs'" }, 'lib.mjs': wrong })
    t.match(await fail(t, join(root, 'acme')), { message: /^config\.mjs: Unexpected token .* \(at \.\.\/lib\.mjs:3\)$/ })
  })

  t.test('behind a symbolic link', async t => {
    const root = folder(t, { real: { plugins: { 'a.mjs': throws } } })
    await symlink(join(root, 'real'), join(root, 'acme'))
    t.match(await fail(t, join(root, 'acme')), { message: 'plugins/a.mjs: no db (at plugins/a.mjs:3)' })
  })

  t.test('in JSON', async t => {
    const lines: Record<string, number> = {
      '{\n  "a": 1,\n  "b": ,\n}\n': 3,
      '{\n  "a": 1,\n}\n': 3,
      '{\n  "a": 1,\n  "list": [1,\n  2,]\n}': 4,
      '{ "a":\n\n': 3,
      "\n{ 'a': 1 }": 2,
      '{ "a": 1 } trailing, and long enough to be cut': 1
    }
    for (const [text, line] of Object.entries(lines)) {
      t.match(await messageOf(t, { 'config.json': text }), new RegExp(`^config\\.json: .* \\(at config\\.json:${line}\\)$`), text)
    }
  })

  t.test('in a plugin that a config names', async t => {
    const dir = folder(t, { 'config.json': '{ "plugins": ["file:extra.mjs"] }', 'extra.mjs': "import './lib.mjs'", 'lib.mjs': wrong })
    t.match(await fail(t, dir), { code: 'FST_TENANT_PLUGIN_FAILED', message: /^The plugin 'file:extra\.mjs' could not be loaded: extra\.mjs: Unexpected token .* \(at lib\.mjs:3\)$/ })
  })

  t.test('and no place if it is unknown', async t => {
    t.match((await messageOf(t, { services: { 'Mail.mjs': "export default () => { throw 'a string' }" } })), /a string$/)
    t.match((await messageOf(t, { services: { 'Mail.mjs': "export default () => { const error = new Error('bare'); error.stack = undefined; throw error }" } })), /bare$/)
    t.match((await messageOf(t, { services: { 'Mail.mjs': "export default () => { throw JSON.parse('{').a }" } })), / \(at services\/Mail\.mjs:1\)$/, 'a syntax error of data')
  })
})

/** An app with one tenant, whose load takes too long. */
async function hang (t: Test, content: FixtureDirContent, options: MultitenantOptions = {}): Promise<{ line: Record<string, unknown>, body: string }> {
  const log = new LogLines()
  const app = appWith(t, { acme: { dir: folder(t, content) } }, { loadTimeout: 300, ...options }, log.server)
  const failed = log.next('tenant failed to load')
  const response = await send(app, 'acme')
  t.same(refusal(response), [503, 'FST_TENANT_LOAD_TIMEOUT'])
  return { line: await failed, body: response.body }
}

t.test('a file that never finishes loading is named', async t => {
  const fine = 'export default async () => {}'
  const never = 'export default () => new Promise(() => {})'
  const files: Record<string, FixtureDirContent> = {
    'services/Mail.mjs': { services: { 'A.mjs': 'export default {}', 'Mail.mjs': never, 'Z.mjs': never } },
    'plugins/b.mjs': { plugins: { 'a.mjs': fine, 'b.mjs': never, 'c.mjs': fine } },
    'plugins/callback.mjs': { plugins: { 'callback.mjs': 'export default (app, options, done) => {}' } },
    'routes/users/index.mjs': { routes: { users: { 'index.mjs': never } } },
    'routes/autohooks.mjs': { routes: { 'autohooks.mjs': never, 'index.mjs': fine } },
    'index.mjs': { 'index.mjs': never },
    'config.mjs': { 'config.mjs': never },
    'schemas/user.mjs': { schemas: { 'order.mjs': "export default { type: 'object' }", 'user.mjs': 'await new Promise(() => {})' } },
    'file:extra.mjs': { 'config.json': '{ "plugins": ["file:extra.mjs"] }', 'extra.mjs': never }
  }
  for (const [file, content] of Object.entries(files)) {
    t.test(file, async t => {
      const { line, body } = await hang(t, content)
      t.match(line, { tenantId: 'acme', err: { message: 'It did not finish in time: a promise is not resolved, or done() is not called' } })
      t.match(line, { err: { message: file } })
      t.notMatch(body, file, 'and not in the reply')
    })
  }
})

t.test('a core plugin that never finishes loading is named', async t => {
  const root = t.testdir({ src: { tenants: {}, plugins: { auth: { 'index.mjs': 'export default (app, options, done) => {}' } } } })
  const server = new MultiTenantServer({ root, server: { port: 0, logLevel: 'silent' }, fastify: { pluginTimeout: 300 } })
  // Fastify gives up on the plugin, or on the one around it, whichever timer fires first.
  await t.rejects(server.start(), { message: /auth\/index\.mjs: It did not finish in time: a promise is not resolved, or done\(\) is not called$/ })
})

t.test('the log has the cause of a failed load once, with the stacks of all causes', async t => {
  const log = new LogLines()
  const dir = folder(t, { services: { 'Mail.mjs': "export default () => { throw new Error('no smtp', { cause: new Error('refused') }) }" } })
  const app = appWith(t, { acme: { dir } }, {}, log.server)
  const response = await send(app, 'acme')
  const [{ err } = {}] = log.of('tenant failed to load') as Array<{ err?: { type: string, message: string, stack: string } }>
  t.match(err, { type: 'TenantFileError', message: /^services\/Mail\.mjs: no smtp \(at services\/Mail\.mjs:1\): refused$/ })
  t.match(err?.stack, /caused by: Error: no smtp[^]*caused by: Error: refused/)
  t.same(response.json(), { statusCode: 503, code: 'FST_TENANT_LOAD_FAILED', error: 'Service Unavailable', message: "Tenant 'acme' could not be loaded" })
})

t.test('an invalid configSchema is refused at boot, and not at a load', async t => {
  const wrong: Record<string, Record<string, unknown>> = {
    'data/properties/plan/type': { type: 'object', properties: { plan: { type: 'text' } } },
    'unknown keyword': { type: 'object', properities: {} },
    'could not be cloned': { type: 'object', properties: { plan: () => {} } }
  }
  for (const [reason, configSchema] of Object.entries(wrong)) {
    const app = Fastify()
    t.teardown(() => app.close())
    app.register(multitenant, { tenants: {}, configSchema })
    const error: Error = await app.ready().then(() => { throw new Error('it was accepted') }, error => error)
    t.match(error, { code: 'FST_TENANT_OPTION_INVALID', message: /^The option 'configSchema' must be a JSON schema: / })
    t.match(error.message, reason)
  }
})

t.test('the error of an invalid hosts.json names its line', async t => {
  const dir = t.testdir({ [`acme-${randomUUID()}`]: {} })
  await writeFile(join(dir, 'hosts.json'), '{\n  "acme": [,]\n}')
  const log = new LogLines()
  const app = appWith(t, dir, { identify: 'host' }, log.server)
  t.equal((await app.inject({ url: '/', headers: { host: 'a.example' } })).statusCode, 503)
  t.match(JSON.stringify(log.lines), /line 2 of .*hosts\.json is not valid JSON/)
})
