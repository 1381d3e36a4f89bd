import { readFile } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { once } from 'node:events'
import { join } from 'node:path'
import t from 'tap'
import { run } from '../../lib/cli/cli.ts'
import { runBin, startServer } from '../fixtures/server/child.ts'

const { version } = JSON.parse(await readFile(join(import.meta.dirname, '../../package.json'), 'utf8'))

/** What a command that ends prints. */
async function printed (...args: string[]): Promise<{ code: number, log: string, error: string }> {
  const lines = { log: '', error: '' }
  const code = await run(args, { log: text => { lines.log += text }, error: text => { lines.error += text } })
  return { code, ...lines }
}

t.test('--help lists the options', async t => {
  const { code, log, error } = await printed('--help')
  t.strictSame([code, error], [0, ''])
  const source = await readFile(join(import.meta.dirname, '../../lib/cli/cli.ts'), 'utf8')
  const [, options = ''] = /const OPTIONS = \{([^]+?)\} as const/.exec(source) ?? []
  const names = [...options.matchAll(/^ {2}'?([a-z-]+)'?:/gm)].map(([, name]) => name as string)
  t.ok(names.length > 10)
  for (const name of names) t.match(log, `--${name}`)
  for (const variable of ['PORT', 'HOST', 'LOG_LEVEL', 'MAX_CONCURRENT_TENANTS', 'TENANTS_PATH', 'PLUGINS_PATH']) t.match(log, variable)
  t.strictSame(await printed('-h'), { code, log, error })
})

t.test('--version prints the version', async t => {
  t.strictSame(await printed('--version'), { code: 0, log: version, error: '' })
})

t.test('an invalid argument is reported on one line, with exit code 1', async t => {
  const root = t.testdir({ src: { tenants: {} } })
  const wrong = async (args: string[], error: string | RegExp): Promise<void> => {
    t.match(await printed(...args), { code: 1, log: '', error })
  }
  await wrong(['--prot', '3000'], /^Unknown option '--prot'[^]+Try --help$/)
  await wrong(['a', 'b', 'c'], 'Only one folder is allowed, not also: b c')
  await wrong([root, '--port', 'http'], "The option 'server.port' must be a whole number from 0 to 65535, not 'http'")
  await wrong([root, '--port', ' '], "The option 'server.port' must be a whole number from 0 to 65535")
  await wrong([root, '--max-tenants', '0'], /^The option 'tenants\.maxConcurrent' must be/)
  await wrong([root, '--log-level', 'loud'], /^The option 'server\.logLevel' must be one of/)
  await wrong([join(root, 'nowhere'), '--log-level', 'silent'], /^The option 'tenants' must be a folder that exists/)
})

t.test('an invalid environment variable is reported once', async t => {
  const { PORT } = process.env
  t.teardown(() => { if (PORT === undefined) delete process.env['PORT']; else process.env['PORT'] = PORT })
  process.env['PORT'] = 'abc'
  t.strictSame(await printed(t.testdir()), { code: 1, log: '', error: 'The config is not valid: env/PORT must be integer' })
})

t.test('each cause of an error is reported once', async t => {
  const other = createServer().listen(0, '127.0.0.1')
  await once(other, 'listening')
  t.teardown(() => other.close())
  const { port } = other.address() as AddressInfo
  const root = t.testdir({ src: { tenants: {}, plugins: { db: { 'index.mjs': 'export default async () => { throw "no database" }' } } }, ok: { src: { tenants: {} } } })
  const args = ['--log-level', 'silent', '--host', '127.0.0.1', '--port', String(port)]
  const listen = await printed(join(root, 'ok'), ...args)
  t.match(listen, { code: 1, error: new RegExp(`^The server cannot listen on 127\\.0\\.0\\.1 port ${port}\nlisten EADDRINUSE: [^\n]+$`) })
  t.strictSame(await printed(root, ...args), { code: 1, log: '', error: "The plugin 'db' could not be loaded: db/index.mjs: no database" })
})

t.test('the command', async t => {
  t.test('prints its output and ends', async t => {
    const cwd = t.testdir()
    t.match(await runBin(t, ['--help'], cwd), { code: 0, stdout: /^Usage: fastify-multitenant/, stderr: '' })
    t.match(await runBin(t, ['--nothing'], cwd), { code: 1, stdout: '', stderr: /^Unknown option/ })
    t.match(await runBin(t, ['--log-level', 'silent'], cwd), { code: 1, stdout: '', stderr: /^The option 'tenants' must be a folder that exists/ }, 'a start that failed leaves nothing open')
  })

  t.test('takes a folder and options, which win over the environment', async t => {
    const plugin = (name: string): string => `export default async app => { app.loaded ?? app.decorate("loaded", []); app.loaded.push("${name}") }`
    const manifest = '{ "dependencies": { "tenant-npm": "1", "plugin-npm": "1" } }'
    const cwd = t.testdir({
      project: {
        'package.json': manifest,
        '.env': 'PORT=1\n',
        node_modules: { 'tenant-npm': { 'package.json': '{}' }, 'plugin-npm': { 'package.json': '{ "main": "x.mjs" }', 'x.mjs': plugin('npm') } },
        customers: { acme: {} },
        core: {
          a: { 'a.mjs': plugin('a') },
          b: { 'b.mjs': plugin('b') },
          routes: { 'routes.mjs': 'export default async app => { app.get("/", async ({ tenantId }) => ({ tenantId, loaded: app.loaded, tenants: await app.multitenant.list() })) }' }
        }
      }
    })
    const server = await startServer(t, [
      'project', '--port', '0', '--host', '127.0.0.1', '--tenants', 'customers', '--plugins', 'core', '--core-order', 'b,a', '--max-tenants', '3',
      '--tenants-npm', 'tenant-*', '--plugins-npm', 'plugin-*', '--identify', 'query', '--default-tenant', 'acme', '--watch'
    ], cwd, { PORT: '2', HOST: 'nowhere.invalid' })
    const get = async (url: string): Promise<unknown> => (await fetch(server.url + url)).json()
    const rest = { loaded: ['b', 'a', 'npm'], tenants: ['acme', 'npm'] }
    t.strictSame(await get('/'), { tenantId: 'acme', ...rest })
    t.match(await server.end('SIGINT'), { code: 0, stderr: '' })
  })
})
