import { once } from 'node:events'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { answers, answersBehind, appWith, Door, Events, listen, LogLines, MemorySource, refusal, send, until } from '../fixtures/lifecycle/app.ts'
import { withDatabase } from '../fixtures/lifecycle/database.ts'

t.test('requests that run after drainTimeout are closed by force and reported', async t => {
  const door = new Door()
  const events: string[] = []
  const messages = new Events(t)
  const log = new LogLines()
  const app = appWith(t, { acme: { plugin: withDatabase(door, events) } }, { drainTimeout: 20 }, log.server)
  const address = new URL(await listen(app))
  const socket = connect(Number(address.port), address.hostname)
  t.teardown(() => socket.destroy())
  socket.resume()
  socket.write('GET /stream?of=acme HTTP/1.1\r\nhost: localhost\r\nx-tenant-id: acme\r\n\r\n')
  await door.reached
  const cut = once(socket, 'close')
  const report = await app.multitenant.unload('acme')
  await cut
  t.match(report, { generation: 1, drained: false, forced: [{ method: 'GET', url: '/stream?of=acme', ms: Number }] })
  t.equal(report?.forced.length, 1)
  t.ok(events.includes('database closed'))
  t.match(messages.of('drain'), [{ id: 'acme', generation: 1, drained: false, forced: [{ url: '/stream?of=acme' }] }])
  t.match(log.of('tenant closed by force'), [{ level: 40, tenantId: 'acme', drained: false }])
  door.open()
  t.equal((await send(app, 'acme', '/nowhere')).statusCode, 404, 'the tenant can be loaded again')
})

t.test('an unload of a tenant that is not loaded does nothing', async t => {
  const app = appWith(t, { acme: answers('acme') })
  await app.ready()
  t.equal(await app.multitenant.unload('acme'), null)
  t.equal(await app.multitenant.unload('nobody'), null)
})

t.test('a second unload during the first resolves, and the tenant closes once', async t => {
  const door = new Door()
  const events: string[] = []
  const app = appWith(t, { acme: { plugin: withDatabase(door, events) } })
  await app.ready()
  const response = send(app, 'acme')
  await door.reached
  const unloads = [app.multitenant.unload('acme'), app.multitenant.unload('acme')]
  door.open()
  t.equal((await response).body, 'database open')
  await Promise.all(unloads)
  t.same(events.filter(event => event === 'database closed'), ['database closed'])
})

t.test('a tenant that is unloaded while it loads closes, and its waiting requests are answered', async t => {
  const door = new Door()
  const events = new Events(t)
  const app = appWith(t, { acme: answersBehind(door, 'acme') })
  await app.ready()
  const responses = Array.from({ length: 10 }, () => send(app, 'acme'))
  await door.reached
  const unloaded = app.multitenant.unload('acme')
  door.open()
  t.same([...new Set((await Promise.all(responses)).map(({ body }) => body))], ['acme'])
  t.match(await unloaded, { generation: 1, drained: true })
  t.ok(door.passed <= 2)
  t.ok(events.names.includes('drain acme 1'))
})

t.test('a tenant that is deleted and added again during its last request is a different tenant', async t => {
  const door = new Door()
  const source = new MemorySource({
    acme: {
      plugin: async scope => {
        scope.get('/', async () => {
          await door.pass()
          return 'the old one'
        })
        scope.get('/old-secret', async () => 'of the old one')
      }
    }
  })
  const app = appWith(t, source)
  await app.ready()
  const old = send(app, 'acme')
  await door.reached
  source.tenants.delete('acme')
  const unloaded = app.multitenant.unload('acme')
  t.same(refusal(await send(app, 'acme')), [404, 'FST_TENANT_NOT_FOUND'])

  source.tenants.set('acme', { plugin: async scope => { scope.get('/', async () => 'the new one') } })
  await app.multitenant.init('acme')
  t.equal((await send(app, 'acme')).body, 'the new one')
  t.equal((await send(app, 'acme', '/old-secret')).statusCode, 404)
  door.open()
  t.equal((await old).body, 'the old one')
  t.match(await unloaded, { generation: 1, drained: true })
  t.equal((await send(app, 'acme')).body, 'the new one', 'the end of the old one does not touch the new one')
})

t.test('a folder that is deleted and created again is loaded from its new files', async t => {
  const dir = t.testdir({ 'again-acme': { routes: { 'index.mjs': 'export default async app => { app.get("/", async () => "old") }' } } })
  const app = appWith(t, dir)
  t.equal((await send(app, 'again-acme')).body, 'old')
  await rm(join(dir, 'again-acme'), { recursive: true })
  await app.multitenant.unload('again-acme')
  await until(async () => (await send(app, 'again-acme')).statusCode === 404)

  await mkdir(join(dir, 'again-acme', 'routes'), { recursive: true })
  await writeFile(join(dir, 'again-acme', 'routes', 'index.mjs'), 'export default async app => { app.get("/", async () => "new") }')
  await app.multitenant.init('again-acme')
  t.equal((await send(app, 'again-acme')).body, 'new')
})
