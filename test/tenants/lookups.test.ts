import { once } from 'node:events'
import { connect as connectHttp2 } from 'node:http2'
import type { ClientHttp2Session } from 'node:http2'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { mock } from 'node:test'
import t from 'tap'
import { FairQueue } from '../../lib/tenants/fair-queue.ts'
import { answers, appWith, call, Door, fakeTime, listen, MemorySource, refusal, send, turn, until } from '../fixtures/lifecycle/app.ts'
import type { FastifyInstance } from 'fastify'
import type { TenantDefinition } from '../../index.ts'

/** The source's answers wait at the door, except those about tenants. */
class SlowSource extends MemorySource {
  readonly door = new Door()

  override async get (id: string): Promise<TenantDefinition | null> {
    if (!this.tenants.has(id)) {
      this.asked.push(id)
      await this.door.pass()
    }
    return super.get(id)
  }
}

/** A source with getMany(). */
class BatchSource extends MemorySource {
  /** The ids of each call. */
  readonly batches: Array<readonly string[]> = []
  broken = false

  async getMany (ids: readonly string[]): Promise<Map<string, TenantDefinition>> {
    this.batches.push(ids)
    await this.before
    if (this.broken) throw new Error('one of the rows is broken')
    return new Map(ids.flatMap(id => {
      const tenant = this.tenants.get(id)
      return tenant === undefined ? [] : [[id, { id, ...tenant }] as const]
    }))
  }
}

function ids (count: number, name = 'nobody'): string[] {
  return Array.from({ length: count }, (_, index) => `${name}-${index}`)
}

/** The error that the app's own code gets. */
function codeOf (work: Promise<unknown>): Promise<string> {
  return work.then(() => 'served', error => error.code)
}

/** How many requests the app has refused with this code. */
function refusalsOf (app: FastifyInstance, code: string): { count: number } {
  const refusals = { count: 0 }
  app.addHook('onError', async (_request, _reply, error) => {
    if ((error as { code?: string }).code === code) refusals.count++
  })
  return refusals
}

/** Sends requests of these tenants over one connection, without waiting for an answer. */
function pipeline (url: string, names: readonly string[]): Socket {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  socket.write(names.map(id => `GET / HTTP/1.1\r\nhost: ${hostname}\r\nx-tenant-id: ${id}\r\n\r\n`).join(''))
  return socket.on('error', () => {}).resume()
}

t.test('an id that is being looked up has no slot, and takes no turn of a load', async t => {
  const source = new SlowSource({ acme: answers('acme') })
  const app = appWith(t, source, { maxLoading: 1 })
  await app.ready()
  const unknown = ids(5).map(id => send(app, id))
  await until(() => source.door.passed === 5)
  t.match(await app.multitenant.stats(), { loading: 0, loads: 0, tenants: [] })
  t.equal((await send(app, 'acme')).body, 'acme')
  source.door.open()
  t.same(new Set((await Promise.all(unknown)).map(({ statusCode }) => statusCode)), new Set([404]))
  t.match(await app.multitenant.stats(), { unknown: 5, loads: 1 })
})

t.test('an id is looked up once, however many requests ask for it', async t => {
  const source = new SlowSource()
  const app = appWith(t, source)
  await app.ready()
  const asking = ids(100).map(() => send(app, 'nobody'))
  await source.door.reached
  await turn()
  source.door.open()
  t.same(new Set((await Promise.all(asking)).map(({ statusCode }) => statusCode)), new Set([404]))
  t.same(source.asked.filter(id => id === 'nobody').length, 2, 'once by the slow source, once by the one below it')
})

t.test('a tenant loads from the definition that its look-up returned', async t => {
  const source = new MemorySource({ acme: answers('acme') })
  const app = appWith(t, source)
  t.equal((await send(app, 'acme')).body, 'acme')
  t.same(source.asked, ['acme'])
})

t.test('a tenant loads and answers while one connection floods the source with made-up ids that hang', async t => {
  const source = new SlowSource({ acme: answers('acme') })
  const app = appWith(t, source)
  const refused = refusalsOf(app, 'FST_TENANT_OVERLOADED')
  const address = await listen(app)
  const flood = pipeline(address, ids(1_200))
  t.teardown(() => flood.destroy())
  await until(() => refused.count > 0)
  const answer = await call(address, 'acme')
  t.equal(answer.status, 200)
  t.equal(await answer.text(), 'acme')
  t.ok(source.door.passed > 0, 'while look-ups hang')
  t.match(await app.multitenant.stats(), { loading: 0, tenants: [{ id: 'acme' }] })
  flood.destroy()
  source.door.open()
})

t.test('a tenant loads and answers while one HTTP/2 session floods the source with made-up ids that hang', async t => {
  const source = new SlowSource({ acme: answers('acme') })
  const app = appWith(t, source, {}, { http2: true } as object)
  const refused = refusalsOf(app, 'FST_TENANT_OVERLOADED')
  const address = await listen(app)
  const open = (): ClientHttp2Session => {
    const session = connectHttp2(address).on('error', () => {})
    t.teardown(() => session.destroy())
    return session
  }
  const flood = open()
  for (const id of ids(1_200)) flood.request({ 'x-tenant-id': id }).on('error', () => {}).end()
  await until(() => refused.count > 0)
  const [headers] = await once(open().request({ 'x-tenant-id': 'acme' }), 'response')
  t.equal(headers[':status'], 200)
  flood.destroy()
  source.door.open()
})

t.test('when too many ids wait for a look-up, the next one is refused at once', async t => {
  const source = new SlowSource({ acme: answers('acme') })
  const app = appWith(t, source)
  await app.ready()
  const waiting = ids(1_100).map(id => codeOf(app.multitenant.run(id, () => {})))
  t.same(await waiting[1_099], 'FST_TENANT_OVERLOADED')
  t.match(await app.multitenant.stats(), { loading: 0, tenants: [] })
  source.door.open()
  const codes = await Promise.all(waiting)
  t.ok(codes.filter(code => code === 'FST_TENANT_NOT_FOUND').length >= 1_000)
})

t.test('a refusal because of too many waiting ids has Retry-After', async t => {
  const source = new SlowSource()
  const app = appWith(t, source)
  await app.ready()
  const requests = ids(1_100).map(id => send(app, id))
  const refused = await Promise.race(requests)
  t.same(refusal(refused), [503, 'FST_TENANT_OVERLOADED'])
  t.equal(refused.headers['retry-after'], '1')
  source.door.open()
  await Promise.all(requests)
})

t.test('an id is not looked up if all clients that asked for it have left', async t => {
  fakeTime(t)
  const source = new SlowSource()
  const app = appWith(t, source, { maxWaiting: 100 })
  let begun = 0
  app.server.on('request', () => { begun++ })
  const address = await listen(app)
  const first = pipeline(address, ids(50))
  t.teardown(() => first.destroy())
  await until(() => source.door.passed === 10)
  const late = [pipeline(address, ['left', 'left-too', 'stayed']), pipeline(address, ['left'])]
  await until(() => begun === 54)
  const stayed = pipeline(address, ['stayed'])
  t.teardown(() => stayed.destroy())
  await until(() => begun === 55)
  const connections = (): Promise<number> => new Promise((resolve, reject) => {
    app.server.getConnections((error, count) => error === null ? resolve(count) : reject(error))
  })
  for (const socket of late) socket.destroy()
  await until(async () => await connections() === 2)
  // A response closes a little later than the server sees it.
  await turn()
  source.door.open()
  await once(stayed, 'data')
  await until(async () => (await app.multitenant.stats()).unknown === 51)
  t.notOk(source.asked.includes('left'))
  t.notOk(source.asked.includes('left-too'))
  t.ok(source.asked.includes('stayed'), 'for somebody else waits for it')
})

t.test('no more than maxWaiting requests wait for one id to be looked up', async t => {
  const source = new SlowSource()
  const app = appWith(t, source, { maxWaiting: 3 })
  await app.ready()
  const waiting = ids(3).map(() => send(app, 'nobody'))
  await source.door.reached
  t.same(refusal(await send(app, 'nobody')), [503, 'FST_TENANT_BUSY'])
  source.door.open()
  t.same((await Promise.all(waiting)).map(({ statusCode }) => statusCode), [404, 404, 404])
})

t.test('a source with getMany() gets few calls, however many ids there are', async t => {
  fakeTime(t)
  const source = new BatchSource({ acme: answers('acme'), idle: { ...answers('idle'), suspended: true } })
  const door = new Door()
  source.before = door.pass()
  const app = appWith(t, source)
  await app.ready()
  const responses = [...ids(300), 'idle', 'acme', 'acme'].map(id => send(app, id))
  await until(() => source.batches.length === 2)
  await turn()
  door.open()
  const statuses = (await Promise.all(responses)).map(({ statusCode }) => statusCode)
  t.same(statuses, [...ids(300).map(() => 404), 403, 200, 200])
  t.same(source.batches.map(batch => batch.length), [1, 1, 100, 100, 100])
  t.same(source.asked, [], 'no tenant is looked up a second time')
  t.match(await app.multitenant.stats(), { unknown: 300, loads: 1 })
  t.same((await Promise.all([send(app, 'nobody-7'), send(app, 'idle')])).map(({ statusCode }) => statusCode), [404, 403])
  t.equal(source.batches.length, 5, 'and what was said is remembered')
})

t.test('when getMany() fails, each id is looked up separately', async t => {
  const source = new BatchSource({ acme: answers('acme') })
  source.broken = true
  const app = appWith(t, source)
  await app.ready()
  const responses = await Promise.all([...ids(5), 'acme'].map(id => send(app, id)))
  t.same(responses.map(({ statusCode }) => statusCode), [404, 404, 404, 404, 404, 200])
})

t.test('a source that does not answer getMany() is not asked again when nobody waits', async t => {
  fakeTime(t)
  const source = new BatchSource()
  source.before = new Promise(() => {})
  const app = appWith(t, source, { loadTimeout: 1_000 })
  await app.ready()
  const response = send(app, 'nobody')
  await until(() => source.batches.length === 1)
  mock.timers.tick(1_000)
  t.same(refusal(await response), [503, 'FST_TENANT_LOAD_TIMEOUT'])
  await turn()
  t.same(source.asked, [])
})

t.test('a tenant that changes during its look-up is looked up again', async t => {
  for (const source of [new MemorySource(), new BatchSource()]) {
    let tell: (change: { id: string }) => void = () => {}
    const door = new Door()
    source.before = door.pass()
    const app = appWith(t, Object.assign(source, {
      watch: (changed: typeof tell) => {
        tell = changed
        return () => {}
      }
    }))
    await app.ready()
    const response = send(app, 'acme')
    await until(() => source.asked.length > 0 || (source instanceof BatchSource && source.batches.length > 0))
    source.tenants.set('acme', answers('acme'))
    tell({ id: 'acme' })
    tell({ id: 'globex' })
    door.open()
    t.equal((await response).body, 'acme')
  }
})

t.test('when the app closes, waiting look-ups are refused, and the source closes after its last call', async t => {
  fakeTime(t)
  const events: string[] = []
  const source = Object.assign(new SlowSource(), { close: () => { events.push('closed') } })
  const app = appWith(t, source)
  await app.ready()
  const asking = ids(12).map(id => codeOf(app.multitenant.run(id, () => {})))
  await until(() => source.door.passed === 10)
  const closing = app.close()
  t.same(new Set(await Promise.all(asking)), new Set(['FST_TENANT_CLOSED']))
  t.same(events, [])
  t.equal(source.door.passed, 10)
  source.door.open()
  await closing
  t.same(events, ['closed'])
})

t.test('a tenant that is suspended during its look-up is refused', async t => {
  const source = new MemorySource({ acme: answers('acme') })
  const door = new Door()
  const app = appWith(t, source)
  await app.ready()
  source.before = door.pass()
  const response = send(app, 'acme')
  await until(() => source.asked.length === 1)
  const suspended = app.multitenant.suspend('acme')
  await until(() => source.asked.length === 2)
  door.open()
  await suspended
  t.equal((await response).statusCode, 403)
})

function put (queue: FairQueue<string>, client: unknown, item: string): boolean {
  if (!queue.makeRoom(client)) return false
  queue.add(client, item)
  return true
}

t.test('a queue serves the clients in turn', async t => {
  const queue = new FairQueue<string>({ max: 10, isGone: () => false, onDrop: () => {} })
  for (const item of ['a1', 'a2', 'a3', 'b1', 'c1', 'b2']) t.ok(put(queue, item[0], item))
  const taken: Array<string | undefined> = []
  while (queue.size > 0) taken.push(queue.take())
  t.same(taken, ['a1', 'b1', 'c1', 'a2', 'b2', 'a3'])
  t.equal(queue.take(), undefined)
})

t.test('a full queue drops the last item of the client with the most items, for a client with fewer', async t => {
  const dropped: string[] = []
  const queue = new FairQueue<string>({ max: 4, isGone: () => false, onDrop: item => dropped.push(item) })
  for (const item of ['a1', 'a2', 'a3', 'a4']) t.ok(put(queue, 'a', item))
  t.notOk(put(queue, 'a', 'a5'), 'not for its own')
  t.ok(put(queue, 'b', 'b1'))
  t.ok(put(queue, 'b', 'b2'))
  t.same(dropped, ['a4', 'a3'])
  t.notOk(put(queue, 'b', 'b3'), 'not when both have the same')
  t.ok(put(queue, 'c', 'c1'))
  t.notOk(put(queue, 'd', 'd1') && put(queue, 'e', 'e1'))
  t.equal(queue.size, 4)
})

t.test('a full queue first drops items that nobody wants any more', async t => {
  const gone = new Set<string>()
  const dropped: string[] = []
  const queue = new FairQueue<string>({ max: 3, isGone: item => gone.has(item), onDrop: item => dropped.push(item) })
  for (const item of ['a1', 'b1', 'a2']) t.ok(put(queue, item[0], item))
  gone.add('a2').add('b1')
  t.ok(put(queue, 'c', 'c1'))
  t.same([queue.size, queue.take(), queue.take(), dropped], [2, 'a1', 'c1', []])
})
