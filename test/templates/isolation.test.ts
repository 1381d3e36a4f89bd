import { setImmediate } from 'node:timers/promises'
import fp from 'fastify-plugin'
import t from 'tap'
import type { FastifyInstance, FastifyPluginAsync, LightMyRequestResponse } from 'fastify'
import { appOf, as, BASES, each, names, send, sharedApp, shuffled } from '../fixtures/templates/app.ts'
import { askedBy, PLACES, tenantOf, URLS, Witness, witnesses } from '../fixtures/templates/witness.ts'
import { LogLines } from '../fixtures/lifecycle/app.ts'
import type { MultitenantOptions } from '../../index.ts'

/** How often a reply named another tenant than the one that was asked. */
function check (id: string, response: LightMyRequestResponse): string[] {
  const { tenant, code, message } = response.json()
  const named = tenant ?? `${code}: ${message}`
  return [named, response.headers['x-on-send'] ?? named].filter(name => name !== id)
}

/** `limit`: how many requests run at a time. `meanwhile` is called after each reply. */
interface StormOptions { limit?: number, meanwhile?: (count: number) => void }

/** Sends requests of all tenants to all URLs in a random order, many at a time. Returns the replies that named another tenant. */
async function storm (app: FastifyInstance, ids: readonly string[], urls: readonly string[], { limit = 40, meanwhile }: StormOptions = {}): Promise<string[]> {
  const wrong: string[] = []
  let count = 0
  await each(shuffled(ids.flatMap((id, index) => ({ id, url: urls[index % urls.length] as string }))), limit, async ({ id, url }) => {
    const response = await send(app, id, url)
    meanwhile?.(++count)
    wrong.push(...check(id, response).map(name => `${url}: asked ${id}, got ${name}`))
  })
  return wrong
}

for (const base of BASES) {
  for (const [order, count] of [['first', 2_000], ['registered', 300]] as const) {
    t.test(`${count} tenants without code of their own never mix, in ${base}, order '${order}'`, async t => {
      const ids = names(count)
      const witness = new Witness()
      const log = new LogLines()
      const app = sharedApp(t, base, ids, witnesses(witness), { order }, { ...log.server, genReqId: ({ headers }) => askedBy({ headers }) })
      t.strictSame(await storm(app, ids, URLS), [])
      // These requests find their tenants loaded.
      t.strictSame(await storm(app, ids.slice(0, 200), URLS), [])
      t.strictSame(witness.wrong, [])
      t.strictSame(witness.places, PLACES.filter(place => place !== 'parser'))
      // With this order the app writes the line of a request before it knows the tenant.
      const lines = log.lines.filter(({ reqId, msg }) => reqId !== undefined && (order === 'first' || msg !== 'incoming request'))
      t.ok(lines.length >= count, `${lines.length} lines`)
      t.strictSame(lines.filter(({ reqId, tenantId }) => reqId !== tenantId), [], 'every line of a request has the id of its tenant')
      t.match(await app.multitenant.stats(), { active: count, resident: count })
    })
  }

  t.test(`evictions do not mix them, in ${base}`, async t => {
    const ids = names(400)
    const witness = new Witness()
    const app = sharedApp(t, base, ids, witnesses(witness), { maxResident: 40 })
    // A tenant is busy until its onResponse hooks have ended, so fewer requests than places run at a time.
    t.strictSame(await storm(app, ids, URLS, { limit: 12 }), [])
    t.strictSame(witness.wrong, [])
    const { evictions, active } = await app.multitenant.stats()
    t.ok(evictions >= 300, `${evictions} evictions`)
    t.ok(active <= 40)
  })

  t.test(`negative control: the same storm finds a plugin that keeps the tenant in a closure, in ${base}`, async t => {
    const ids = names(200)
    const app = sharedApp(t, base, ids, closureOfOneTenant)
    t.not((await storm(app, ids, ['/'])).length, 0)
  })
}

/** The mistake of a user: it is right as long as one request runs at a time. */
const closureOfOneTenant: FastifyPluginAsync = fp(async (scope: FastifyInstance) => {
  let current: string
  scope.addHook('onRequest', async request => { current = tenantOf(request) })
  scope.get('/', async (_request, reply) => {
    await setImmediate()
    reply.header('x-on-send', current)
    return { tenant: current }
  })
})

t.test('reloads of the template and of tenants do not mix them', async t => {
  const ids = names(300)
  const witness = new Witness()
  const app = sharedApp(t, 'template', ids, witnesses(witness))
  await app.ready()
  const changes: Array<Promise<unknown>> = []
  t.strictSame(await storm(app, [...ids, ...ids, ...ids], URLS, {
    meanwhile: count => {
      if (count % 300 === 150) changes.push(app.multitenant.reloadTemplate('shop', { code: false }))
      if (count % 50 === 25) changes.push(app.multitenant.reload(`t${count % 300}`))
    }
  }), [])
  await Promise.all(changes)
  t.strictSame(witness.wrong, [])
})

t.test('a plugin of a template cannot send requests to its own scope, which would have no tenant', async t => {
  const app = appOf(t, {
    shop: {
      plugin: async scope => {
        scope.get('/inner', async request => ({ tenant: tenantOf(request) }))
        scope.get('/outer', async request => {
          const refused = await request.server.inject('/inner').then(() => 'answered', (error: { code: string }) => error.code)
          const inner = await request.tenant!.app.inject('/inner')
          return { refused, inner: inner.json() }
        })
        scope.get('/emits', async (request, reply) => {
          reply.hijack()
          const raw = Object.create(request.raw.constructor.prototype)
          try {
            scope.server.emit('request', Object.assign(raw, { url: '/inner', method: 'GET', headers: {} }), reply.raw)
          } catch (error) {
            reply.raw.end((error as { code: string }).code)
          }
        })
      }
    }
  }, { a: { template: 'shop', config: { mark: 'a' } } })
  t.same((await send(app, 'a', '/outer')).json(), { refused: 'FST_TENANT_TEMPLATE_SHARED', inner: { tenant: 'a' } })
  t.equal((await send(app, 'a', '/emits')).body, 'FST_TENANT_TEMPLATE_SHARED')
})

for (const base of BASES) {
  t.test(`tenant.app.inject() belongs to the tenant, in ${base}`, async t => {
    const ids = names(20)
    const witness = new Witness()
    const app = sharedApp(t, base, ids, witnesses(witness))
    await app.ready()
    await each(ids, 20, async id => {
      const tenant = await app.multitenant.init(id)
      // The header names another tenant, and is not asked.
      const headers = { ...as('t0'), 'x-asked': id }
      const promised = await tenant.app.inject({ url: '/hello/1', headers })
      const chained = await tenant.app.inject().get('/hello/1').headers(headers)
      const called = await new Promise<LightMyRequestResponse | undefined>(resolve => tenant.app.inject({ url: '/hello/1', headers }, (_error, response) => resolve(response)))
      for (const response of [promised, chained, called]) t.same(response?.json(), { tenant: id })
      t.same((await tenant.app.inject({ url: '/missing', headers })).json(), { tenant: id })
    })
    t.strictSame(witness.wrong, [])
  })
}

t.test('custom loggers and request ids work in a shared scope', async t => {
  const log = new LogLines()
  const app = appOf(t, { shop: { plugin: customLogger } }, Object.fromEntries(names(50).map(id => [id, { template: 'shop', config: { mark: id } }])), {}, log.server)
  await each(shuffled(names(50)), 10, async id => { await send(app, id) })
  const lines = log.of('in the handler')
  t.equal(lines.length, 50)
  for (const { tenantId, asked, custom, scope } of lines) t.same([tenantId, custom, scope], [asked, true, 'the template'])
})

const customLogger: FastifyPluginAsync = async scope => {
  scope.decorate('place', 'the template')
  scope.setChildLoggerFactory(function (logger, bindings, options, raw) {
    return logger.child({ ...bindings, custom: true, asked: raw.headers['x-asked'], scope: Reflect.get(this, 'place') }, options)
  })
  scope.get('/', async request => {
    await setImmediate()
    request.log.info('in the handler')
    return ''
  })
}

/** A tenant with code of its own, on the template: it inherits everything, and its requests are never those of another tenant. */
t.test('tenants with and without code of their own on one template do not mix', async t => {
  const witness = new Witness()
  const ids = names(60)
  const own = (id: string, index: number): MultitenantOptions['tenants'] => ({
    [id]: {
      template: 'shop',
      config: { mark: id },
      ...(index % 2 === 0 && { plugin: async scope => { scope.get('/own', async request => ({ tenant: tenantOf(request), id })) } })
    }
  })
  const log = new LogLines()
  const app = appOf(t, { shop: { plugin: witnesses(witness) as never } }, Object.assign({}, ...ids.map(own)), {}, { ...log.server, genReqId: ({ headers }) => askedBy({ headers }) })
  t.strictSame(await storm(app, ids.flatMap(id => URLS.map(() => id)), URLS), [])
  t.strictSame(witness.wrong, [])
  t.strictSame(log.lines.filter(({ reqId, tenantId }) => reqId !== undefined && reqId !== tenantId), [])
  t.same((await send(app, 't2', '/own')).json(), { tenant: 't2', id: 't2' })
  t.same((await send(app, 't3', '/own')).statusCode, 404)
  t.match(await app.multitenant.stats(), { active: 60, resident: 30 })
})
