import { AsyncLocalStorage } from 'node:async_hooks'
import { PassThrough } from 'node:stream'
import t from 'tap'
import { appWith, Door, latch, send, turn } from '../fixtures/lifecycle/app.ts'
import type { InlineTenant } from '../../index.ts'

const acme: InlineTenant = { config: { plan: 'gold' }, plugin: async scope => { scope.get('/', async () => 'acme') } }

t.test("run() loads the tenant, passes it to the job, and returns the job's result", async t => {
  const app = appWith(t, { acme })
  await app.ready()
  t.equal(app.multitenant.get('acme'), null)
  t.same(await app.multitenant.run('acme', async tenant => [tenant.id, tenant.config, tenant.active]), ['acme', { plan: 'gold' }, true])
  t.equal(await app.multitenant.run('acme', () => 'at once'), 'at once')
})

t.test('a tenant stays usable during a job, whatever happens to it', async t => {
  const door = new Door()
  const closed: number[] = []
  let loads = 0
  const app = appWith(t, {
    acme: {
      plugin: async scope => {
        const load = ++loads
        scope.decorate('load', load)
        scope.addHook('onClose', async () => { closed.push(load) })
      }
    }
  })
  await app.ready()
  const job = app.multitenant.run('acme', async tenant => {
    await door.pass()
    return [tenant.app.getDecorator('load'), tenant.state, closed.length]
  })
  await door.reached
  await app.multitenant.reload('acme')
  const unloaded = app.multitenant.unload('acme')
  await turn()
  t.same(closed, [2])
  door.open()
  t.same(await job, [1, 'draining', 1])
  await unloaded
  await turn()
  t.same(closed, [2, 1])
})

t.test('negative control: a tenant from get() closes while the job runs', async t => {
  const door = new Door()
  const closed: string[] = []
  const app = appWith(t, { acme: { plugin: async scope => { scope.addHook('onClose', async () => { closed.push('closed') }) } } })
  await app.ready()
  const tenant = await app.multitenant.init('acme')
  const job = door.pass().then(() => [tenant.state, ...closed])
  await app.multitenant.unload('acme')
  door.open()
  t.same(await job, ['closed', 'closed'])
})

t.test('a job that throws releases its lease', async t => {
  const app = appWith(t, { acme })
  await app.ready()
  await t.rejects(app.multitenant.run('acme', async () => { throw new Error('rejected') }), { message: 'rejected' })
  await t.rejects(app.multitenant.run('acme', () => { throw new Error('thrown') }), { message: 'thrown' })
  t.match((await app.multitenant.stats()).tenants, [{ id: 'acme', inFlight: 0, requests: 2, errors: 0 }])
  t.match(await app.multitenant.unload('acme'), { drained: true })
})

t.test('the signal of a job is aborted when its tenant is closed by force, and the report names the job', async t => {
  const app = appWith(t, { acme }, { drainTimeout: 10 })
  await app.ready()
  const started = latch()
  const job = app.multitenant.run('acme', function invoices (_tenant, signal) {
    started.resolve()
    return new Promise<string>(resolve => signal.addEventListener('abort', () => resolve('aborted')))
  })
  await started.promise
  t.match(await app.multitenant.unload('acme'), { drained: false, forced: [{ method: 'JOB', url: 'invoices', ms: Number }] })
  t.equal(await job, 'aborted')
})

t.test('the signal of a job that ends in time is never aborted', async t => {
  const app = appWith(t, { acme })
  await app.ready()
  const signal = await app.multitenant.run('acme', (_tenant, signal) => signal)
  await app.multitenant.unload('acme')
  t.equal(signal.aborted, false)
})

t.test('a job that ignores the signal does not hold its tenant for ever', async t => {
  const door = new Door()
  const app = appWith(t, { acme }, { drainTimeout: 10 })
  await app.ready()
  const job = app.multitenant.run('acme', async () => {
    await door.pass()
    return 'ended at last'
  })
  await door.reached
  t.match(await app.multitenant.unload('acme'), { drained: false })
  t.equal((await send(app, 'acme')).body, 'acme')
  door.open()
  t.equal(await job, 'ended at last')
  t.match((await app.multitenant.stats()).tenants, [{ id: 'acme', inFlight: 0 }], 'its end is not counted out of the next generation')
})

t.test('a job does not run if its tenant cannot be loaded', async t => {
  let ran = false
  const app = appWith(t, { acme, broken: { plugin: async () => { throw new Error('broken') } } })
  await app.ready()
  await app.multitenant.suspend('acme')
  const job = (): void => { ran = true }
  await t.rejects(app.multitenant.run('acme', job), { code: 'FST_TENANT_SUSPENDED' })
  await t.rejects(app.multitenant.run('broken', job), { code: 'FST_TENANT_LOAD_FAILED' })
  await t.rejects(app.multitenant.run('nobody', job), { code: 'FST_TENANT_NOT_FOUND' })
  t.equal(ran, false)
})

t.test('nested and concurrent jobs each have their own tenant, also after one threw', async t => {
  const app = appWith(t, { acme, globex: {} })
  await app.ready()
  const { run } = app.multitenant
  const inner = app.multitenant.run('acme', async outer => {
    await app.multitenant.run('globex', async () => { throw new Error('thrown') }).catch(() => {})
    const other = await app.multitenant.run('globex', async tenant => {
      await turn(1)
      return tenant.id
    })
    return [outer.id, other]
  })
  t.same(await inner, ['acme', 'globex'])
  t.type(run, 'function')
  const ids = await Promise.all(Array.from({ length: 50 }, (_, index) => app.multitenant.run(index % 2 === 0 ? 'acme' : 'globex', async tenant => {
    await turn(1)
    return tenant.id
  })))
  t.ok(ids.every((id, index) => id === (index % 2 === 0 ? 'acme' : 'globex')))
})

t.test("jobs, handlers and streams run in the caller's async context", async t => {
  const storage = new AsyncLocalStorage<string>()
  const app = appWith(t, Object.fromEntries(['acme', 'globex'].map(id => [id, {
    plugin: async scope => {
      scope.post('/', async (request, reply) => {
        const stream = new PassThrough()
        setImmediate(() => stream.end(`${storage.getStore()} ${JSON.stringify(request.body)}`))
        return reply.send(stream)
      })
    }
  } satisfies InlineTenant])))
  app.addHook('onRequest', (request, _reply, done) => storage.run(String(request.headers['x-tenant-id']), done))
  await app.ready()
  const post = (id: string) => app.inject({ method: 'POST', url: '/', headers: { 'x-tenant-id': id }, payload: { of: id } })
  // The first requests load the tenants: code after a load is in the caller's context, too.
  const ids = Array.from({ length: 40 }, (_, index) => index % 2 === 0 ? 'acme' : 'globex')
  const bodies = await Promise.all(ids.map(async id => (await post(id)).body))
  t.same(bodies, ids.map(id => `${id} {"of":"${id}"}`))
  const inJob = await storage.run('the caller', () => app.multitenant.run('acme', async () => {
    await turn(1)
    return storage.getStore()
  }))
  t.equal(inJob, 'the caller')
})

t.test('negative control: a variable shared by all requests mixes them up', async t => {
  let current = ''
  const app = appWith(t, Object.fromEntries(['acme', 'globex'].map(id => [id, {
    plugin: async scope => {
      scope.get('/', async () => {
        await turn(1)
        return current
      })
    }
  } satisfies InlineTenant])))
  app.addHook('onRequest', async request => { current = String(request.headers['x-tenant-id']) })
  await app.ready()
  await app.multitenant.init('acme')
  await app.multitenant.init('globex')
  const bodies = await Promise.all(['acme', 'globex'].map(async id => (await send(app, id)).body))
  t.strictNotSame(bodies, ['acme', 'globex'])
})
