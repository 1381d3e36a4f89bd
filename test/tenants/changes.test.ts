import { mock } from 'node:test'
import t, { type Test } from 'tap'
import { appWith, call, Door, Events, listen, LogLines, refusal, send, until } from '../fixtures/lifecycle/app.ts'
import { TestSource } from '../fixtures/test-source.ts'
import type { FastifyInstance, LightMyRequestResponse } from 'fastify'
import type { WantedTenant } from '../../lib/sources/conformance/conformance.ts'
import type { TenantDefinition } from '../../types/index.ts'

/** A source whose tenants answer with the plan in their config. */
class Plans extends TestSource {
  /** Each answer of the source waits for this. */
  before: () => Promise<void> = async () => {}
  asked = 0

  override async get (id: string): Promise<TenantDefinition | null> {
    this.asked++
    const definition = await super.get(id)
    await this.before()
    if (definition === null) return null
    return {
      ...definition,
      plugin: async (app, { config }) => {
        if (Reflect.get(config, 'plan') === 'broken') throw new Error('broken')
        app.get('/', async () => Reflect.get(config, 'plan'))
      }
    }
  }

  set (id: string, plan: string, more: Partial<WantedTenant> = {}): void {
    this.put({ id, config: { plan }, ...more })
  }
}

interface Changing {
  app: FastifyInstance
  source: Plans
  events: Events
  log: LogLines
}

/** An app whose one tenant, acme, is loaded. */
async function setUp (t: Test): Promise<Changing> {
  const source = new Plans()
  const events = new Events(t)
  const log = new LogLines()
  source.set('acme', 'free')
  const app = appWith(t, source, {}, log.server)
  t.equal((await send(app, 'acme')).body, 'free')
  return { app, source, events, log }
}

/** Changes globex until all changes that were announced before have been handled. */
async function othersChange (source: Plans, events: Events): Promise<void> {
  for (let round = 0; round < 20; round++) {
    const reload = events.next('reload', ({ id }) => id === 'globex')
    source.set('globex', `${round}`)
    await reload
  }
}

/** The answer to a request that waits for the source while `happens` runs. */
async function sendMeanwhile ({ app, source }: Changing, id: string, happens: () => void): Promise<LightMyRequestResponse> {
  const door = new Door()
  source.before = () => door.pass()
  const response = send(app, id)
  await door.reached
  happens()
  door.open()
  return response
}

t.test('a tenant that its source says has changed is reloaded', async t => {
  const { app, source, events } = await setUp(t)
  const reload = events.next('reload')
  source.set('acme', 'pro')
  t.match(await reload, { id: 'acme', generation: 2 })
  t.equal((await send(app, 'acme')).body, 'pro')
})

t.test('a tenant that already has the announced version is not reloaded', async t => {
  const { source, events } = await setUp(t)
  source.tell({ id: 'acme', version: '1' })
  const reload = events.next('reload')
  source.set('acme', 'pro')
  await reload
  source.tell({ id: 'acme', version: '2' })
  const another = events.next('reload')
  source.tell({ id: 'acme' })
  t.match(await another, { generation: 3 }, 'without a version every change counts')
  t.same(events.of('reload').map(({ generation }) => generation), [2, 3])
})

t.test('many changes at once cause one reload, to the last version', async t => {
  const { app, source, events } = await setUp(t)
  const reload = events.next('reload')
  for (const plan of ['a', 'b', 'c', 'd']) source.set('acme', plan)
  await reload
  t.equal((await send(app, 'acme')).body, 'd')
  t.equal(events.of('reload').length, 1)
})

t.test('a change of more tenants than loads may wait reloads them all, a few at a time', async t => {
  const source = new Plans()
  const events = new Events(t)
  const ids = Array.from({ length: 1_100 }, (_, index) => `tenant-${index}`)
  for (const id of ids) source.set(id, 'free')
  const app = appWith(t, source, { maxActive: ids.length })
  await app.ready()
  for (const id of ids) await app.multitenant.init(id)
  let most = 0
  let running = 0
  source.before = async () => {
    most = Math.max(most, ++running)
    await new Promise(resolve => { setImmediate(resolve) })
    running--
  }
  for (const id of ids) source.set(id, 'pro')
  await until(() => events.of('reload').length === ids.length, Infinity)
  t.same(events.of('fail'), [])
  t.ok(most > 1 && most <= 100, `${most} at a time`)
  t.equal((await send(app, 'tenant-1099')).body, 'pro')
})

t.test('a change does not load a tenant that is not in memory', async t => {
  const { app, source } = await setUp(t)
  source.set('globex', 'free')
  source.set('globex', 'pro')
  await app.multitenant.unload('acme')
  source.set('acme', 'pro')
  t.equal((await app.multitenant.stats()).active, 0)
  t.equal((await send(app, 'acme')).body, 'pro')
})

t.test('a tenant that leaves memory before its reload is not loaded again', async t => {
  const { app, source, events } = await setUp(t)
  source.set('globex', 'free')
  await send(app, 'globex')
  source.set('acme', 'pro')
  await app.multitenant.unload('acme')
  await othersChange(source, events)
  t.equal(app.multitenant.get('acme'), null)
})

t.test('an added tenant is found at once, even if it was remembered as unknown', async t => {
  const { app, source } = await setUp(t)
  t.equal((await send(app, 'globex')).statusCode, 404)
  const { asked } = source
  t.equal((await send(app, 'globex')).statusCode, 404)
  t.equal(source.asked, asked, 'it is remembered as unknown')
  source.set('globex', 'pro')
  t.equal((await send(app, 'globex')).body, 'pro')
})

t.test('an answer that the source began before a change is not cached after it', async t => {
  const changing = await setUp(t)
  const { app, source } = changing
  const early = await sendMeanwhile(changing, 'globex', () => source.set('globex', 'pro'))
  t.equal(early.body, 'pro', 'the source is asked again')
  t.equal((await send(app, 'globex')).body, 'pro')

  const unknown = await sendMeanwhile(changing, 'initech', () => {
    source.tenants.set('initech', { id: 'initech', config: { plan: 'pro' } })
    source.tell()
  })
  t.equal(unknown.statusCode, 404)
  t.equal((await send(app, 'initech')).body, 'pro', 'nor when nobody says what has changed')
})

t.test('a change during a look-up is not lost', async t => {
  const changing = await setUp(t)
  const { app, source } = changing
  await app.multitenant.unload('acme')
  const early = await sendMeanwhile(changing, 'acme', () => source.set('acme', 'pro'))
  t.equal(early.body, 'pro')
  t.equal((await send(app, 'acme')).body, 'pro')
})

t.test('a tenant that its source suspends is refused by all entries until it is resumed', async t => {
  const { app, source } = await setUp(t)
  const url = await listen(app)
  const tenant = app.multitenant.get('acme')!
  source.set('acme', 'free', { suspended: true })

  t.same(refusal(await send(app, 'acme')), [403, 'FST_TENANT_SUSPENDED'])
  t.equal((await call(url, 'acme')).status, 403)
  t.equal(tenant.active, false)
  const suspended = { code: 'FST_TENANT_SUSPENDED' }
  await t.rejects(app.multitenant.run('acme', () => 'ran'), suspended)
  await t.rejects(app.multitenant.init('acme'), suspended)
  await t.rejects(app.multitenant.reload('acme'), suspended)
  t.not(await tenant.app.inject('/').then(({ statusCode }) => statusCode, () => 'refused'), 200)
  await t.resolves(app.multitenant.suspend('acme'), 'may be suspended here as well')
  app.multitenant.resume('acme')

  const { asked } = source
  t.equal((await send(app, 'acme')).statusCode, 403)
  t.equal(source.asked, asked, 'the source is not asked again and again')
  source.set('acme', 'pro')
  t.equal((await send(app, 'acme')).body, 'pro')
})

t.test('a tenant that is resumed while the source answers is not remembered as suspended', async t => {
  const changing = await setUp(t)
  const { app, source } = changing
  source.set('acme', 'free', { suspended: true })
  const early = await sendMeanwhile(changing, 'acme', () => source.set('acme', 'pro'))
  t.equal(early.body, 'pro', 'the source is asked again')
  t.equal((await send(app, 'acme')).body, 'pro')
})

t.test('a reload that finds the tenant suspended unloads it', async t => {
  const { app, source } = await setUp(t)
  source.tenants.set('acme', { id: 'acme', suspended: true })
  await t.rejects(app.multitenant.reload('acme'), { code: 'FST_TENANT_SUSPENDED' })
  t.equal((await send(app, 'acme')).statusCode, 403)
})

t.test('a queued change does not load a tenant that was suspended meanwhile', async t => {
  const { app, source } = await setUp(t)
  source.set('acme', 'pro')
  source.set('acme', 'pro', { suspended: true })
  t.equal((await send(app, 'acme')).statusCode, 403)
  t.equal(app.multitenant.get('acme'), null)
})

t.test('a deleted tenant finishes its requests and is then unknown', async t => {
  const { app, source } = await setUp(t)
  source.remove('acme')
  t.equal((await send(app, 'acme')).statusCode, 404)
})

t.test('the old generation keeps serving when the new one cannot be loaded, and the log says why', async t => {
  const { app, source, log, events } = await setUp(t)
  const line = log.next('tenant not reloaded')
  source.set('acme', 'broken')
  t.match(await line, { level: 40, tenantId: 'acme', err: { code: 'FST_TENANT_LOAD_FAILED' } })
  t.equal((await send(app, 'acme')).body, 'free')
  const reload = events.next('reload')
  source.set('acme', 'pro')
  await reload
  t.equal((await send(app, 'acme')).body, 'pro')
})

t.test('a change that cannot be loaded is retried after growing pauses, however often it is announced', async t => {
  let now = Math.round(performance.now())
  const clock = mock.method(performance, 'now', () => now)
  t.teardown(() => clock.mock.restore())
  const { app, source, log, events } = await setUp(t)
  source.set('globex', 'free')
  await send(app, 'globex')
  let line = log.next('tenant not reloaded')
  source.set('acme', 'broken')
  await line
  const { version } = await source.get('acme') as { version: string }
  for (const [pause, attempts] of [[1_000, 2], [2_000, 3], [4_000, 4]] as const) {
    now += pause - 1
    source.tell({ id: 'acme', version })
    await othersChange(source, events)
    t.equal(events.of('fail').length, attempts - 1)
    now += 1
    line = log.next('tenant not reloaded')
    source.tell({ id: 'acme', version })
    await line
    t.equal(events.of('fail').length, attempts)
  }
  const reload = events.next('reload')
  source.set('acme', 'pro')
  await reload
  t.equal((await send(app, 'acme')).body, 'pro', 'another version is tried at once')
})

t.test('a source that failed is asked again at once, and without a version every change counts', async t => {
  const { source, log, events } = await setUp(t)
  const again = async (tell: () => void): Promise<void> => {
    const line = log.next('tenant not reloaded')
    tell()
    await line
  }
  source.broken = true
  await again(() => source.set('acme', 'broken'))
  await again(() => source.tell({ id: 'acme', version: '2' }))
  source.broken = false
  await again(() => source.tell({ id: 'acme', version: '2' }))
  await again(() => source.tell({ id: 'acme' }))
  await again(() => source.tell({ id: 'acme' }))
  t.equal(events.of('fail').length, 5)
})

t.test('a tenant that failed is tried again at once when it has changed', async t => {
  const { app, source } = await setUp(t)
  source.set('globex', 'broken')
  t.equal((await send(app, 'globex')).statusCode, 503)
  source.set('globex', 'pro')
  t.equal((await send(app, 'globex')).body, 'pro')
})

t.test('a change without an id clears all remembered refusals', async t => {
  const { app, source } = await setUp(t)
  source.set('initech', 'free', { suspended: true })
  t.equal((await send(app, 'globex')).statusCode, 404)
  t.equal((await send(app, 'initech')).statusCode, 403)
  for (const id of ['globex', 'initech']) source.tenants.set(id, { id, config: { plan: 'pro' } })
  source.tell()
  t.equal((await send(app, 'globex')).body, 'pro')
  t.equal((await send(app, 'initech')).body, 'pro')
})

t.test('a source can read which tenants are in memory, and in which version', async t => {
  const changing = await setUp(t)
  const { source } = changing
  source.set('globex', 'free')
  await sendMeanwhile(changing, 'globex', () => {
    t.same(source.loaded(), [{ id: 'acme', version: '1' }], 'what is still on its way is not in memory')
  })
  t.same(source.loaded(), [{ id: 'acme', version: '1' }, { id: 'globex', version: '2' }])
})

t.test('changes are ignored after the app is closed', async t => {
  const { app, source, log } = await setUp(t)
  source.set('acme', 'pro')
  await app.close()
  source.set('acme', 'later')
  t.equal(log.lines.filter(({ msg }) => String(msg).startsWith('tenant')).length, 0)
})

t.test('the name that the source gives is the display name', async t => {
  const source = new TestSource()
  source.tenants.set('acme', { id: 'acme', name: 'Acme Inc.', config: { name: 'of the config' } })
  const app = appWith(t, source)
  await app.ready()
  t.equal((await app.multitenant.init('acme')).name, 'Acme Inc.')
})
