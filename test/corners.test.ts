import { writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { IncomingMessage, ServerResponse } from 'node:http'
import Fastify from 'fastify'
import t from 'tap'
import multitenant from '../index.ts'
import { jsonErrorLine, syntaxErrorPlace } from '../lib/utils/syntax-place.ts'
import { enterRoute } from '../lib/fastify/enter-route.ts'
import { isMoreExact } from '../lib/app/route-url.ts'
import { SharedCompilers } from '../lib/scope/shared-compilers.ts'
import { BootContext } from '../lib/generations/boot-context.ts'
import { Lookups } from '../lib/tenants/lookups.ts'
import { Door } from './fixtures/door.ts'
import { as, emptyApp, listen, tenants } from './fixtures/http/app.ts'
import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import type { RouteMatch } from '../lib/fastify/shapes.ts'
import type { Definitions } from '../lib/tenants/definitions.ts'
import type { Holder } from '../lib/leases/lease.ts'

/** Loads a tenant with this plugin, and returns the cause if that fails. */
async function load (app: FastifyInstance, plugin: FastifyPluginAsync): Promise<unknown> {
  app.register(multitenant, { tenants: tenants({ acme: plugin }) })
  await app.ready()
  return app.multitenant.init('acme').then(() => undefined, error => error.cause)
}

t.test('a promise that resolves to no plugin fails the load', async t => {
  t.match(await load(emptyApp(t), async scope => { scope.register(Promise.resolve({}) as never) }), { message: /must resolve to a function/ })
})

t.test('a callback of after() may take the error, the instance and done', async t => {
  let given: unknown[] = []
  t.equal(await load(emptyApp(t), async scope => {
    scope.register(async () => {})
    const { after } = scope as unknown as { after (this: FastifyInstance, callback: (error: unknown, instance: unknown, done: () => void) => void): void }
    after.call(scope, (error, instance, done) => {
      given = [error, instance === scope]
      done()
    })
  }), undefined)
  t.strictSame(given, [null, true])
})

t.test('onClose() with a value that is not a function fails as in Fastify', async t => {
  const message = { message: /not a function/i }
  t.match(await load(emptyApp(t), async scope => { (scope as unknown as { onClose (hook: unknown): void }).onClose('no hook') }), message)
})

t.test('a route that cannot be entered after its headers are sent ends the connection', async t => {
  let destroyed = false
  const rawReply = { headersSent: true, destroy: () => { destroyed = true } } as unknown as ServerResponse
  const route = { handler: () => { throw new Error('no logger') }, params: {}, store: null, searchParams: {} } as RouteMatch
  enterRoute(route, {} as IncomingMessage, rawReply, Fastify().log, 'acme')
  t.ok(destroyed)
})

t.test('a longer route with the same prefix is not more exact', async t => {
  t.equal(isMoreExact('/a/b', '/a'), false)
  t.equal(isMoreExact('/a', '/a/b'), false)
})

t.test('a schema that JSON cannot represent is compiled for each route', async t => {
  let compiled = 0
  const compilers = new SharedCompilers(() => () => () => ++compiled)
  const compile = compilers.build({}, { customOptions: {}, plugins: [] })
  compile({ schema: undefined })
  compile({ schema: undefined })
  t.equal(compiled, 2)
})

t.test('a syntax error in an unreadable module has no position', async t => {
  const dir = t.testdir()
  const file = join(dir, 'index.js')
  await writeFile(file, "import './missing.js'\n")
  t.equal(syntaxErrorPlace(file), undefined)
  t.equal(jsonErrorLine(join(dir, 'missing.json')), 1)
})

t.test('the hooks for refusals run before a default route, also for a target without a path', async t => {
  const app = emptyApp(t, { routerOptions: { defaultRoute: ((_raw: IncomingMessage, rawReply: ServerResponse) => { rawReply.end('by default') }) as never } })
  app.addHook('onSend', async (_request, reply) => { reply.header('x-sent', 'yes') })
  app.register(multitenant, { tenants: {} })
  await listen(app)
  const refused = await app.inject({ url: '/unknown', headers: as('nobody') })
  t.match(refused, { statusCode: 404, headers: { 'x-sent': 'yes' } })
  const { port } = app.server.address() as AddressInfo
  const socket = connect(port, '127.0.0.1')
  socket.end('OPTIONS * HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')
  t.match(await text(socket), /by default/)
})

t.test('autohooks load even if a pattern ignores other files', async t => {
  const app = emptyApp(t)
  app.register(multitenant, {
    autoload: { routes: { ignorePattern: /skipped/ } },
    tenants: t.testdir({
      acme: {
        routes: {
          'autohooks.mjs': "export default async scope => { scope.addHook('onRequest', async (_request, reply) => { reply.header('x-hook', 'yes') }) }",
          'root.mjs': "export default async scope => { scope.get('/', async () => 'root') }",
          skipped: { 'autohooks.mjs': "throw new Error('this file is ignored')" }
        }
      }
    })
  })
  t.match(await app.inject({ url: '/', headers: as('acme') }), { statusCode: 200, headers: { 'x-hook': 'yes' } })
})

t.test('a client that floods the look-ups loses its last place to another client', async t => {
  const door = new Door()
  const definitions = { takesMany: false, outcome: () => door.pass().then(() => new Error('unknown')) } as unknown as Definitions
  const lookups = new Lookups(definitions, { loadTimeout: 60_000, maxWaiting: 10 }, new BootContext())
  const clientOf = (socket: object): Holder => ({ req: { socket }, socket, destroyed: false, destroy: () => {} }) as unknown as Holder
  const [flooding, other] = [clientOf({}), clientOf({})]
  const errors = Array.from({ length: 1_010 }, (_, n) => lookups.find(`made-up-${n}`, flooding).catch(error => error))
  const last = lookups.find('acme', other).catch(error => error)
  t.match(await errors.at(-1), { code: 'FST_TENANT_OVERLOADED', tenantId: 'made-up-1009' })
  door.open()
  t.match(await last, { message: 'unknown' })
  await Promise.all(errors)
  await lookups.close()
})
