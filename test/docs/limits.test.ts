import { once } from 'node:events'
import { get as httpGet } from 'node:http'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import swagger from '@fastify/swagger'
import fp from 'fastify-plugin'
import t, { type Test } from 'tap'
import multitenant from '../../index.ts'
import { emptyApp } from '../fixtures/http/app.ts'
import { start } from '../fixtures/readme/run.ts'
import { as, sectionOf, who } from '../fixtures/readme/guide.ts'
import type { IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { FastifyInstance, FastifyPluginAsync } from 'fastify'

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

  async 'A template is shared.' (t, app) {
    let visits = 0
    const plugin: FastifyPluginAsync = async scope => { scope.get('/', async ({ tenantId }) => [tenantId, ++visits]) }
    app.register(multitenant, { templates: { standard: { plugin } }, tenants: { acme: { template: 'standard' }, globex: { template: 'standard' } } })
    for (const expected of [['acme', 1], ['globex', 2]] as const) {
      t.strictSame((await app.inject({ url: '/', ...as(expected[0]) })).json(), expected)
    }
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
