import Fastify from 'fastify'
import t from 'tap'
import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import multitenant from '../../index.ts'
import { answers, answersBehind, Door, LogLines, refusal, send, until } from '../fixtures/lifecycle/app.ts'
import type { MultitenantOptions } from '../../index.ts'

type Order = NonNullable<MultitenantOptions['order']>

interface Setting {
  app: FastifyInstance
  log: LogLines
  /** What the hooks and the error handler of the app saw, by their name. */
  seen: Record<string, unknown>
}

async function setUp (t: Test, order: Order, options: MultitenantOptions, handlesErrors = true): Promise<Setting> {
  const log = new LogLines()
  const app = Fastify(log.server)
  const seen: Setting['seen'] = {}
  t.teardown(() => app.close())
  app.addHook('onRequest', async request => { seen['earlier onRequest'] = [request.tenant, request.tenantId] })
  app.register(multitenant, { ...options, order })
  app.addHook('onRequest', async () => { seen['later onRequest'] = true })
  for (const name of ['onError', 'onSend', 'onResponse'] as const) {
    app.addHook(name as 'onResponse', async request => { seen[name] = [request.tenant, request.tenantId] })
  }
  if (handlesErrors) {
    app.setErrorHandler((error, request, reply) => {
      seen['error handler'] = [request.tenant, request.tenantId, Reflect.get(error as object, 'tenantId')]
      return reply.send(error)
    })
  }
  await app.ready()
  return { app, log, seen }
}

interface Refusal {
  status: number
  code: string
  options: MultitenantOptions
  /** Makes the app refuse the tenant. Returns a function that ends that. */
  prepare?: (app: FastifyInstance, door: Door) => unknown
}

const refusals = (door: Door): Record<string, Refusal> => ({
  unknown: { status: 404, code: 'FST_TENANT_NOT_FOUND', options: { tenants: {} } },
  failed: { status: 503, code: 'FST_TENANT_LOAD_FAILED', options: { tenants: { acme: { plugin: async () => { throw new Error('broken') } } } } },
  'too slow to load': { status: 503, code: 'FST_TENANT_LOAD_TIMEOUT', options: { loadTimeout: 20, tenants: { acme: answersBehind(door, 'acme') } } },
  suspended: { status: 403, code: 'FST_TENANT_SUSPENDED', options: { tenants: { acme: answers('acme') } }, prepare: app => app.multitenant.suspend('acme') },
  busy: {
    status: 503,
    code: 'FST_TENANT_BUSY',
    options: { maxInFlight: 1, tenants: { acme: answers('acme') } },
    prepare: async app => {
      await app.multitenant.init('acme')
      app.multitenant.run('acme', () => door.pass()).catch(() => {})
      await door.reached
    }
  },
  'without a place': {
    status: 503,
    code: 'FST_TENANT_OVERLOADED',
    options: { maxActive: 1, tenants: { acme: answers('acme'), globex: answers('globex') } },
    prepare: async app => {
      app.multitenant.run('globex', () => door.pass()).catch(() => {})
      await door.reached
    }
  }
})

for (const order of ['first', 'registered'] as const) {
  for (const name of Object.keys(refusals(new Door()))) {
    t.test(`order '${order}': hooks, error handlers and the log know the refused tenant, which is ${name}`, async t => {
      const door = new Door()
      const { status, code, options, prepare } = refusals(door)[name]!
      const { app, log, seen } = await setUp(t, order, options)
      await prepare?.(app, door)
      const response = await send(app, 'acme')
      t.same(refusal(response), [status, code])
      t.same(Object.keys(response.json()).sort(), ['code', 'error', 'message', 'statusCode'])
      await until(() => 'onResponse' in seen)
      const named = [null, 'acme']
      t.same(seen, {
        'earlier onRequest': order === 'first' ? named : [null, null],
        'error handler': [...named, 'acme'],
        onError: named,
        onSend: named,
        onResponse: named
      })
      t.match(log.of('request completed'), [{ tenantId: 'acme' }])
      t.equal(log.of('request completed').length, 1)
      t.same(log.of('incoming request').map(({ tenantId }) => tenantId), [order === 'first' ? 'acme' : undefined])
      door.open()
    })
  }

  t.test(`order '${order}': Fastify's own line about the error names the refused tenant`, async t => {
    const { app, log } = await setUp(t, order, { tenants: { acme: { plugin: async () => { throw new Error('broken') } } } }, false)
    t.same(refusal(await send(app, 'acme')), [503, 'FST_TENANT_LOAD_FAILED'])
    const [line] = log.lines.filter(({ err, reqId }) => err !== undefined && reqId !== undefined)
    t.match(line, { tenantId: 'acme', err: { code: 'FST_TENANT_LOAD_FAILED' } })
  })

  t.test(`order '${order}': a refused default tenant is named too`, async t => {
    const { app, seen } = await setUp(t, order, { defaultTenant: 'acme', tenants: {} })
    t.equal((await app.inject('/')).statusCode, 404)
    t.same(seen['error handler'], [null, 'acme', 'acme'])
  })

  t.test(`order '${order}': a request without a tenant or a valid id has no tenantId`, async t => {
    const { app, log, seen } = await setUp(t, order, { required: true, tenants: {} })
    t.same(refusal(await app.inject('/')), [400, 'FST_TENANT_REQUIRED'])
    t.same(seen['error handler'], [null, null, undefined])
    t.same(refusal(await send(app, '../acme')), [400, 'FST_TENANT_INVALID_ID'])
    t.same(seen['error handler'], [null, null, undefined])
    t.same(log.of('request completed').filter(line => 'tenantId' in line), [])
  })

  t.test(`order '${order}': negative control: a served request has its tenant`, async t => {
    const { app, seen } = await setUp(t, order, { tenants: { acme: answers('acme') } })
    t.equal((await send(app, 'acme')).body, 'acme')
    await until(() => 'onResponse' in seen)
    t.match(seen['onResponse'], [{ id: 'acme' }, 'acme'])
    t.notOk('error handler' in seen)
  })
}

t.test("a refused call from one tenant about another shows the other's id to the calling code, and not in the reply", async t => {
  const { app } = await setUp(t, 'first', {
    tenants: {
      acme: {
        plugin: async scope => {
          scope.get('/', async () => app.multitenant.init('globex'))
          scope.get('/copy', async () => app.multitenant.init('globex').catch(error => ({ ...error, of: error.tenantId === 'globex' })))
        }
      }
    }
  }, false)
  const response = await send(app, 'acme')
  t.same(Object.keys(response.json()).sort(), ['code', 'error', 'message', 'statusCode'])
  const copy = (await send(app, 'acme', '/copy')).json()
  t.equal(copy.of, true)
  t.notOk('tenantId' in copy)
  for (const asked of [app.multitenant.run('globex', () => {}), app.multitenant.reload('globex')]) {
    const error = await asked.then(() => null, error => error)
    t.equal(error.tenantId, 'globex')
  }
})
