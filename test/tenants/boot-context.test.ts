import { AsyncLocalStorage } from 'node:async_hooks'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { EventEmitter } from 'node:events'
import { mock } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import Fastify from 'fastify'
import t from 'tap'
import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import multitenant from '../../index.ts'
import { Door, Events, fakeTime, listen, send, until } from '../fixtures/lifecycle/app.ts'
import type { MultitenantOptions, TenantDefinition, TenantSource } from '../../index.ts'
import type { Plugin } from '../fixtures/lifecycle/app.ts'

/** Gives its one connection to all callers, in the async context in which it was made, as a pool does. */
class Pool {
  readonly #answers = new EventEmitter()
  #connected = false

  query (): Promise<void> {
    if (!this.#connected) this.#connect()
    return new Promise(resolve => this.#answers.once('row', resolve))
  }

  #connect (): void {
    this.#connected = true
    const timer = setInterval(() => {
      if (this.#answers.listenerCount('row') > 0) return this.#answers.emit('row')
      clearInterval(timer)
      this.#connected = false
    })
  }
}

interface Setting {
  app: FastifyInstance
  storage: AsyncLocalStorage<string>
  /** The store that each piece of the tenants' code found, by the name of the code. */
  seen: Record<string, string | undefined>
}

/** An app whose requests have their own stores, and two tenants that record the store they find. */
async function setUp (t: Test, options: MultitenantOptions = {}): Promise<Setting> {
  const storage = new AsyncLocalStorage<string>()
  const seen: Setting['seen'] = {}
  const app = Fastify()
  t.teardown(() => app.close())
  app.addHook('onRequest', (request, _reply, done) => storage.run(`request of ${String(request.headers['x-tenant-id'])}`, done))
  const note = (name: string): void => { seen[name] = storage.getStore() }
  const plugin = (id: string): Plugin => async scope => {
    note(`${id} load`)
    await setImmediate()
    note(`${id} load after a pause`)
    const timer = setInterval(() => note(`${id} timer`))
    scope.addHook('onReady', async () => note(`${id} onReady`))
    scope.addHook('preClose', async () => note(`${id} preClose`))
    scope.addHook('onClose', async () => {
      clearInterval(timer)
      note(`${id} onClose`)
    })
    scope.get('/', async () => storage.getStore())
    scope.get('/load/:id', async request => app.multitenant.init((request.params as { id: string }).id).then(() => storage.getStore()))
    scope.get('/reload', async () => app.multitenant.reload(id).then(() => storage.getStore()))
    scope.get('/run/:id', async request => app.multitenant.run((request.params as { id: string }).id, () => storage.getStore()))
    scope.get('/suspend/:id', async request => app.multitenant.suspend((request.params as { id: string }).id).then(() => storage.getStore()))
  }
  const broken: Plugin = async () => { throw new Error('no disk') }
  app.register(multitenant, { order: 'registered', tenants: { acme: { plugin: plugin('acme') }, globex: { plugin: plugin('globex') }, broken: { plugin: broken } }, ...options })
  await app.ready()
  return { app, storage, seen }
}

/** Nothing that ran found a store, and everything expected ran. */
function foundNone (t: Test, seen: Setting['seen'], ...names: string[]): void {
  t.same(Object.entries(seen).filter(([, store]) => store !== undefined), [])
  t.same(names.filter(name => !(name in seen)), [])
}

t.test("a tenant that a request loads keeps none of the request's context, and the request keeps its own", async t => {
  const { app, seen } = await setUp(t)
  t.equal((await send(app, 'acme')).body, 'request of acme')
  await until(() => 'acme timer' in seen)
  t.equal((await send(app, 'acme', '/load/globex')).body, 'request of acme')
  await until(() => 'globex timer' in seen)
  foundNone(t, seen, 'acme load', 'acme load after a pause', 'acme onReady', 'globex load', 'globex load after a pause', 'globex onReady')
})

t.test('negative control: what a request makes itself keeps its context', async t => {
  const storage = new AsyncLocalStorage<string>()
  const app = Fastify()
  t.teardown(() => app.close())
  app.addHook('onRequest', (request, _reply, done) => storage.run(`request of ${request.url}`, done))
  let first: Promise<string | undefined> | undefined
  app.get('/*', async () => {
    first ??= setImmediate().then(() => storage.getStore())
    return first
  })
  t.equal((await app.inject('/acme')).body, 'request of /acme')
  t.equal((await app.inject('/globex')).body, 'request of /acme')
})

t.test("a tenant that a job loads keeps none of the job's context, and the job keeps its own", async t => {
  const { app, seen } = await setUp(t)
  t.equal((await send(app, 'acme', '/run/globex')).body, 'request of acme')
  await until(() => 'globex timer' in seen)
  foundNone(t, seen, 'globex load', 'globex onReady')
})

t.test('an evicted tenant does not close in the context of the request that evicts it', async t => {
  const { app, seen } = await setUp(t, { maxActive: 1 })
  await send(app, 'acme')
  await send(app, 'globex')
  await until(() => 'acme onClose' in seen)
  foundNone(t, seen, 'acme preClose', 'acme onClose')
})

t.test('an idle tenant does not close in the context of its last request', async t => {
  fakeTime(t)
  const { app, seen } = await setUp(t, { idleTimeout: 1_000 })
  await send(app, 'acme')
  mock.timers.tick(2_000)
  await until(() => 'acme onClose' in seen)
  foundNone(t, seen, 'acme preClose', 'acme onClose')
})

t.test('a request that reloads its tenant or suspends another passes its context to neither', async t => {
  const { app, seen } = await setUp(t)
  await send(app, 'globex')
  t.equal((await send(app, 'acme', '/suspend/globex')).body, 'request of acme')
  t.equal((await send(app, 'acme', '/reload')).body, 'request of acme')
  await until(() => 'acme onClose' in seen)
  foundNone(t, seen, 'globex preClose', 'globex onClose', 'acme preClose', 'acme onClose')
})

t.test("app.close() does not pass the caller's context to tenants", async t => {
  const { app, storage, seen } = await setUp(t)
  await send(app, 'acme')
  await storage.run('a request', () => app.close())
  foundNone(t, seen, 'acme preClose', 'acme onClose')
})

t.test('a load that waits for itself is refused in any context', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  const waitsFor = (id: string): { plugin: Plugin } => ({ plugin: async () => { await app.multitenant.preload(id) } })
  app.register(multitenant, { tenants: { acme: waitsFor('globex'), globex: waitsFor('acme') } })
  await app.ready()
  const error = await app.multitenant.init('acme').then(() => null, error => error)
  t.equal(error.code, 'FST_TENANT_LOAD_FAILED')
  t.match(error.cause.cause, { code: 'FST_TENANT_LOAD_FAILED', cause: { message: 'Loading this tenant waits for itself' } })
})

/** A pool with one place, which calls those who wait in the async context of whoever leaves it. */
class CallbackPool {
  readonly #waiting: Array<(leave: () => void) => void> = []
  #busy = false

  enter (callback: (leave: () => void) => void): void {
    if (this.#busy) {
      this.#waiting.push(callback)
      return
    }
    this.#busy = true
    callback(() => {
      this.#busy = false
      const next = this.#waiting.shift()
      if (next !== undefined) this.enter(next)
    })
  }

  get waiting (): number {
    return this.#waiting.length
  }
}

t.test('a request that a pool continues in the context of a load waits for that load', async t => {
  const pool = new CallbackPool()
  const [entered, finish] = [new Door(), new Door()]
  const app = Fastify()
  t.teardown(() => app.close())
  app.addHook('onRequest', (_request, _reply, done) => pool.enter(leave => {
    done()
    leave()
  }))
  const plugin: Plugin = async scope => {
    await new Promise<void>(resolve => pool.enter(leave => {
      entered.pass().then(() => finish.pass()).then(() => {
        leave()
        resolve()
      })
    }))
    scope.get('/', async () => 'loaded')
  }
  app.register(multitenant, { order: 'registered', tenants: { acme: { plugin } } })
  const url = await listen(app)
  const ask = async (): Promise<string> => (await fetch(url, { headers: { 'x-tenant-id': 'acme' } })).text()
  const first = ask()
  await entered.reached
  entered.open()
  const second = ask()
  await until(() => pool.waiting === 1)
  finish.open()
  t.same(await Promise.all([first, second]), ['loaded', 'loaded'])
})

t.test('a source keeps none of the context of the request that asked it first', async t => {
  const storage = new AsyncLocalStorage<string>()
  const pool = new Pool()
  const stores: Array<[string, string | undefined]> = []
  class PoolSource implements TenantSource {
    readonly #pool = pool
    readonly name = 'pool'

    async get (id: string): Promise<TenantDefinition | null> {
      await this.#ask('get')
      return id === 'acme' ? { id, plugin: async scope => { scope.get('/', async () => storage.getStore()) } } : null
    }

    async * list (): AsyncIterable<string> {
      await this.#ask('list')
      yield 'acme'
    }

    async count (): Promise<number> {
      await this.#ask('count')
      return 1
    }

    async resolveHost (host: string): Promise<string | null> {
      await this.#ask('resolveHost')
      return host.startsWith('acme') ? 'acme' : null
    }

    async #ask (method: string): Promise<void> {
      stores.push([method, storage.getStore()])
      await this.#pool.query()
    }
  }
  const app = Fastify()
  t.teardown(() => app.close())
  app.addHook('onRequest', (request, _reply, done) => storage.run(`request of ${request.host}`, done))
  app.register(multitenant, { order: 'registered', tenants: Object.freeze(new PoolSource()), identify: 'host' })
  await app.ready()
  t.equal((await app.inject({ url: '/', headers: { host: 'acme.example' } })).body, 'request of acme.example')
  await storage.run('an admin', async () => {
    t.same(await app.multitenant.list(), ['acme'])
    t.equal((await app.multitenant.stats()).total, 1)
    await t.rejects(app.multitenant.suspend('globex'), { code: 'FST_TENANT_NOT_FOUND' })
    t.equal(storage.getStore(), 'an admin')
  })
  t.same(stores, [['resolveHost', undefined], ['get', undefined], ['list', undefined], ['count', undefined], ['get', undefined]])
})

t.test('subscribers of the diagnostics channels find no context of a request', async t => {
  const { app, storage } = await setUp(t, { maxActive: 1 })
  const events = new Events(t)
  const seen: unknown[] = []
  const names = ['load', 'reload', 'evict', 'drain', 'fail'].map(event => `fastify-multitenant:${event}`)
  const listener = (): void => { seen.push(storage.getStore()) }
  for (const name of names) subscribe(name, listener)
  t.teardown(() => names.forEach(name => unsubscribe(name, listener)))
  await send(app, 'acme')
  await send(app, 'globex')
  await send(app, 'globex', '/reload')
  await send(app, 'broken')
  await until(() => events.of('drain').length === 3)
  t.same(seen, Array.from(events.all, () => undefined))
  t.same(new Set(events.all.map(([event]) => event)), new Set(['load', 'reload', 'evict', 'drain', 'fail']))
})
