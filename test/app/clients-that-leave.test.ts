import { once as event } from 'node:events'
import { TEMPERATURES, warm } from '../fixtures/http/temperature.ts'
import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import t from 'tap'
import type { FastifyRequest } from 'fastify'
import multitenant from '../../index.ts'
import { Door } from '../fixtures/door.ts'
import { appOf, emptyApp, inFlight, listen, tenants } from '../fixtures/http/app.ts'
import { ask, exchange, responseClosed } from '../fixtures/http/exchange.ts'
import { until } from '../fixtures/lifecycle/app.ts'

t.test('clients that leave', async t => {
  for (const temperature of TEMPERATURES) {
    for (const url of ['/own', '/shared']) {
      t.test(`${temperature}, ${url}: the lease is released when the handler has ended, and onRequestAbort runs once`, async t => {
        const app = emptyApp(t)
        const aborted: string[] = []
        const gate = new Door()
        const handler = async (request: FastifyRequest): Promise<object> => {
          request.raw.once('close', () => order.push(request.id))
          await gate.pass()
          return {}
        }
        const order: string[] = []
        app.addHook('onRequestAbort', async request => { aborted.push(request.id) })
        app.register(multitenant, { tenants: tenants({ acme: async scope => { scope.get('/own', handler) } }) })
        app.get('/shared', handler)
        await listen(app)
        await warm(app, temperature)

        const closed = responseClosed(app)
        const client = ask(app, { url, tenant: 'acme' }).end()
        client.on('error', () => {})
        await gate.reached
        t.equal(await inFlight(app, 'acme'), 1)
        client.destroy()
        await closed
        t.equal(await inFlight(app, 'acme'), 1, 'the handler goes on')
        t.equal(aborted.length, 1)
        t.strictSame(aborted, order, 'with the same request id')
        gate.open()
        await until(async () => await inFlight(app, 'acme') === 0)
      })
    }
  }

  t.test('onRequestAbort runs once if the path strategy passes the request on', async t => {
    const app = emptyApp(t)
    const aborted: string[] = []
    const gates = { '/own': new Door(), '/shared': new Door() }
    app.addHook('onRequestAbort', async request => { aborted.push(request.id) })
    app.register(multitenant, { identify: 'path', tenants: tenants({ acme: async scope => { scope.get('/own', async () => await gates['/own'].pass()) } }) })
    app.get('/shared', async () => await gates['/shared'].pass())
    await listen(app)

    for (const [url, gate] of Object.entries(gates)) {
      aborted.length = 0
      const closed = responseClosed(app)
      const client = ask(app, { url: `/acme${url}` }).end()
      client.on('error', () => {})
      await gate.reached
      client.destroy()
      await closed
      t.equal(aborted.length, 1, url)
      gate.open()
    }
  })

  t.test('onRequestAbort hooks of a child run once, also if the child was created before the last hook of the app', async t => {
    const app = emptyApp(t)
    const aborted: string[] = []
    const gate = new Door()
    app.addHook('onRequestAbort', async request => { aborted.push(`first ${request.id}`) })
    await app.register(async child => {
      child.addHook('onRequestAbort', async request => { aborted.push(`child ${request.id}`) })
      child.get('/shared', async () => await gate.pass())
    })
    const last = new Promise<void>(resolve => {
      app.addHook('onRequestAbort', async request => {
        aborted.push(`last ${request.id}`)
        resolve()
      })
    })
    app.register(multitenant, { identify: 'path', tenants: { acme: {} } })
    await listen(app)

    const closed = responseClosed(app)
    const client = ask(app, { url: '/acme/shared' }).end()
    client.on('error', () => {})
    await gate.reached
    client.destroy()
    await Promise.all([closed, last])
    t.strictSame(aborted.sort(), ['child req-1', 'first req-1', 'last req-1'])
    gate.open()
  })

  t.test("a tenant's own onRequestAbort runs for its routes", async t => {
    const gate = new Door()
    const aborted: string[] = []
    const app = await listen(appOf(t, {
      acme: async scope => {
        scope.addHook('onRequestAbort', async request => { aborted.push(`${request.tenantId} ${request.routeOptions.url}`) })
        scope.get('/own', async () => await gate.pass())
      }
    }))
    const closed = responseClosed(app)
    const client = ask(app, { url: '/own', tenant: 'acme' }).end()
    client.on('error', () => {})
    await gate.reached
    client.destroy()
    await closed
    t.strictSame(aborted, ['acme /own'])
    gate.open()
  })

  t.test('a client that leaves while its tenant loads runs no handler, and the tenant serves the next client', async t => {
    const loading = new Door()
    const ran: string[] = []
    const app = appOf(t, {
      acme: async scope => {
        await loading.pass()
        scope.get('/own', async () => {
          ran.push('handler')
          return 'acme'
        })
      }
    })
    app.addHook('onRequestAbort', async request => { ran.push(`onRequestAbort ${request.url}`) })
    await listen(app)
    const closed = responseClosed(app)
    const client = ask(app, { url: '/own', tenant: 'acme' }).end()
    client.on('error', () => {})
    await loading.reached
    client.destroy()
    await closed
    loading.open()
    await app.multitenant.init('acme')
    t.strictSame(ran, ['onRequestAbort /own'], 'but the hook for clients that leave')
    t.equal((await exchange(app, { url: '/own', tenant: 'acme' })).body, 'acme')
    t.strictSame(ran, ['onRequestAbort /own', 'handler'])
    t.equal(await inFlight(app, 'acme'), 0)
    t.match(await app.multitenant.unload('acme'), { drained: true })
  })

  t.test('a client may leave during an upload', async t => {
    const started = new Door()
    started.open()
    const failed: string[] = []
    const app = await listen(appOf(t, {
      acme: async scope => {
        scope.addHook('onRequest', async () => await started.pass())
        scope.post('/upload', async () => 'whole')
        scope.setErrorHandler(async (error: Error & { code: string }) => {
          failed.push(error.code)
          return ''
        })
      }
    }))
    const closed = responseClosed(app)
    const client = ask(app, { method: 'POST', url: '/upload', tenant: 'acme', headers: { 'content-type': 'application/json', 'content-length': 1000 } })
    client.on('error', () => {})
    client.write('{"a":')
    await started.reached
    client.destroy()
    await closed
    await until(async () => await inFlight(app, 'acme') === 0)
  })

  t.test('the stream of a download is destroyed when the client leaves', async t => {
    const endless = new Readable({ read () { this.push('x'.repeat(60_000)) } })
    const app = await listen(appOf(t, {
      acme: async scope => { scope.get('/endless', async (_request, reply) => reply.send(endless)) }
    }))
    const closed = responseClosed(app)
    const client = ask(app, { url: '/endless', tenant: 'acme' }).end()
    client.on('error', () => {})
    const [incoming]: IncomingMessage[] = await event(client, 'response')
    incoming?.on('error', () => {})
    client.destroy()
    await closed
    if (!endless.closed) await event(endless, 'close')
    t.ok(endless.destroyed)
    await until(async () => await inFlight(app, 'acme') === 0)
  })
})

t.test('the lease', async t => {
  t.test('ends when the raw response closes, not when it finishes', async t => {
    const counts: Array<[when: string, count: number | undefined]> = []
    const app = await listen(appOf(t, {
      acme: async scope => {
        scope.get('/own', async (_request, reply) => {
          reply.raw.once('finish', () => { finished = inFlight(app, 'acme') })
          return {}
        })
      }
    }))
    let finished: Promise<number | undefined> = Promise.resolve(undefined)
    await exchange(app, { url: '/own', tenant: 'acme' })
    counts.push(['finish', await finished], ['close', await inFlight(app, 'acme')])
    t.strictSame(counts, [['finish', 1], ['close', 0]])
  })

  t.test('lasts until the onResponse hooks of the response have run', async t => {
    const app = await listen(appOf(t, {
      acme: async scope => {
        scope.addHook('onResponse', async () => { states.push((await app.multitenant.stats()).tenants[0]?.inFlight) })
        scope.get('/own', async () => ({}))
      }
    }))
    const states: Array<number | undefined> = []
    await exchange(app, { url: '/own', tenant: 'acme' })
    t.strictSame(states, [1])
  })

  t.test('is taken for routes of the app, and not for refusals or requests without a tenant', async t => {
    const gate = new Door()
    const app = appOf(t, { acme: async () => {} }, {})
    app.get('/shared', async () => await gate.pass())
    await listen(app)
    const answer = exchange(app, { url: '/shared', tenant: 'acme' })
    await gate.reached
    t.equal(await inFlight(app, 'acme'), 1)
    gate.open()
    await answer
    await exchange(app, { url: '/shared' })
    await exchange(app, { url: '/shared', tenant: 'initech' })
    const { tenants } = await app.multitenant.stats()
    t.match(tenants, [{ id: 'acme', inFlight: 0, requests: 1 }])
    t.equal(tenants.length, 1)
  })

  t.test('is taken once per request', async t => {
    const app = await listen(appOf(t, { acme: async scope => { scope.get('/own', async () => ({})) } }))
    for (let n = 0; n < 3; n++) await exchange(app, { url: '/own', tenant: 'acme' })
    t.match((await app.multitenant.stats()).tenants, [{ requests: 3, inFlight: 0 }])
  })

  t.test('keeps an unload waiting', async t => {
    const gate = new Door()
    const order: string[] = []
    const app = await listen(appOf(t, {
      acme: async scope => {
        scope.addHook('onClose', async () => { order.push('tenant closed') })
        scope.get('/own', async (_request, reply) => {
          reply.raw.once('close', () => order.push('response closed'))
          await gate.pass()
          return 'acme'
        })
      }
    }))
    const answer = exchange(app, { url: '/own', tenant: 'acme' })
    await gate.reached
    const unloaded = app.multitenant.unload('acme')
    gate.open()
    t.equal((await answer).body, 'acme')
    t.match(await unloaded, { drained: true, forced: [] })
    t.strictSame(order, ['response closed', 'tenant closed'])
  })
})
