import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import t from 'tap'
import { answers, answersBehind, appWith, call, Door, listen, refusal, send, turn, until } from '../fixtures/lifecycle/app.ts'
import type { FastifyInstance } from 'fastify'

t.test('all entries refuse a suspended tenant', async t => {
  const app = appWith(t, { acme: answers('acme'), globex: answers('globex') })
  app.get('/of-the-app', async request => request.tenantId)
  const address = await listen(app)
  t.equal((await send(app, 'acme')).body, 'acme')
  const tenant = app.multitenant.get('acme')!
  t.match(await app.multitenant.suspend('acme'), { generation: 1, drained: true })

  const suspended = { code: 'FST_TENANT_SUSPENDED', statusCode: 403 }
  for (const url of ['/', '/of-the-app', '/nowhere']) {
    t.same(refusal(await send(app, 'acme', url)), [403, 'FST_TENANT_SUSPENDED'], `inject ${url}`)
    const response = await call(address + url, 'acme')
    t.equal(response.status, 403, `HTTP ${url}`)
  }
  await t.rejects(app.multitenant.run('acme', () => 'ran'), suspended)
  await t.rejects(app.multitenant.init('acme'), suspended)
  await t.rejects(app.multitenant.reload('acme'), suspended)
  t.equal(app.multitenant.get('acme'), null)
  t.equal(tenant.active, false)
  await t.rejects(tenant.app.inject('/'), suspended, 'its own instance, which somebody has kept, answers no more')
  t.equal((await send(app, 'globex')).body, 'globex', 'other tenants are not touched')
  t.match(await app.multitenant.stats(), { suspended: 1, tenants: [{ id: 'acme', state: 'suspended' }, { id: 'globex', state: 'active' }] })

  app.multitenant.resume('acme')
  t.equal((await send(app, 'acme')).body, 'acme')
})

t.test('nothing new enters a suspended tenant during its last request', async t => {
  const door = new Door()
  const app = appWith(t, {
    acme: {
      plugin: async scope => {
        scope.get('/', async () => 'acme')
        scope.get('/slow', async () => {
          await door.pass()
          return 'over'
        })
      }
    }
  })
  const last = send(app, 'acme', '/slow')
  await door.reached
  const tenant = app.multitenant.get('acme')!
  const ending = app.multitenant.suspend('acme')
  await turn()

  t.equal(tenant.state, 'draining')
  const refused = { code: 'FST_TENANT_SUSPENDED', statusCode: 403 }
  await t.rejects(tenant.app.inject('/'), refused)
  const error = await new Promise(resolve => { tenant.app.inject('/', resolve) })
  t.match(error, refused)

  app.multitenant.resume('acme')
  t.equal((await tenant.app.inject('/')).body, 'acme', 'the generation that ends still serves its own jobs')
  door.open()
  t.equal((await last).body, 'over')
  t.match(await ending, { drained: true })
})

t.test('a tenant that is suspended while it loads refuses all that wait', async t => {
  const door = new Door()
  const app = appWith(t, { acme: answersBehind(door, 'acme') })
  await app.ready()
  const responses = [send(app, 'acme'), send(app, 'acme')]
  await door.reached
  const suspended = app.multitenant.suspend('acme')
  await turn()
  door.open()
  for (const response of await Promise.all(responses)) t.same(refusal(response), [403, 'FST_TENANT_SUSPENDED'])
  await suspended
  t.equal(app.multitenant.get('acme'), null)
})

t.test('a generation that is built while the tenant is suspended or unloaded takes no request', async t => {
  const build = async (asked: (app: FastifyInstance) => unknown): Promise<{ app: FastifyInstance, seen: () => number }> => {
    const doors: Door[] = []
    const app = appWith(t, {
      acme: {
        plugin: async () => {
          const door = new Door()
          doors.push(door)
          await door.pass()
        }
      }
    })
    await app.ready()
    let seen = 0
    const look = async (): Promise<void> => {
      for (let turns = 0; turns < 50; turns++) {
        if (app.multitenant.get('acme') !== null) seen++
        await null
      }
    }
    for (const event of ['load', 'reload']) {
      subscribe(`fastify-multitenant:${event}`, look)
      t.teardown(() => unsubscribe(`fastify-multitenant:${event}`, look))
    }
    const loading = app.multitenant.init('acme')
    await until(() => doors.length === 1)
    const asking = Promise.allSettled([loading, app.multitenant.reload('acme')])
    await turn()
    const ending = asked(app)
    doors[0]?.open()
    await until(() => doors.length === 2)
    doors[1]?.open()
    await asking
    await ending
    return { app, seen: () => seen }
  }
  const suspended = await build(app => app.multitenant.suspend('acme'))
  t.equal(suspended.seen(), 0)
  t.equal(suspended.app.multitenant.get('acme'), null)
  t.same(refusal(await send(suspended.app, 'acme')), [403, 'FST_TENANT_SUSPENDED'])
  const control = await build(() => {})
  t.ok(control.seen() > 0, 'the control: otherwise it is seen at once')
})

t.test('a tenant that unloads itself while it loads fails at once', async t => {
  const app = appWith(t, {
    acme: {
      plugin: async scope => {
        for (const end of ['unload', 'suspend', 'reload'] as const) {
          await t.rejects(async () => { await scope.multitenant[end]('acme') }, { code: 'FST_TENANT_LOAD_FAILED', cause: { message: 'Loading this tenant waits for itself' } }, end)
        }
        scope.get('/', async () => 'acme')
      }
    }
  })
  t.equal((await send(app, 'acme')).body, 'acme', 'what was refused has no effect')
})

t.test('only a tenant that exists can be suspended', async t => {
  const app = appWith(t, { acme: answers('acme') })
  await app.ready()
  await t.rejects(app.multitenant.suspend('nobody'), { code: 'FST_TENANT_NOT_FOUND' })
  t.match(await app.multitenant.stats(), { suspended: 0 })
})

t.test('resume() ends the pause after a failure', async t => {
  let broken = true
  const app = appWith(t, {
    acme: {
      plugin: async scope => {
        if (broken) throw new Error('broken')
        scope.get('/', async () => 'acme')
      }
    }
  })
  t.equal((await send(app, 'acme')).statusCode, 503)
  await app.multitenant.suspend('acme')
  broken = false
  app.multitenant.resume('acme')
  t.equal((await send(app, 'acme')).body, 'acme')
})
