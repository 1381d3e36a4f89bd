import { createHash, randomBytes } from 'node:crypto'
import { once as event } from 'node:events'
import { TEMPERATURES, warm } from '../fixtures/http/temperature.ts'
import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import { buffer, text } from 'node:stream/consumers'
import t from 'tap'
import type { FastifyPluginAsync, FastifyRequest } from 'fastify'
import multitenant from '../../index.ts'
import { Door } from '../fixtures/door.ts'
import { appOf, as, emptyApp, inFlight, listen, tenants } from '../fixtures/http/app.ts'
import { ask, exchange, read, responseClosed } from '../fixtures/http/exchange.ts'
import { once, recordHooks } from '../fixtures/http/hooks.ts'

function sha (data: Buffer): string {
  return createHash('sha256').update(data).digest('hex')
}

t.test('request bodies', async t => {
  const echo: FastifyPluginAsync = async scope => {
    scope.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string' }, async (_request: FastifyRequest, body: string) => {
      return Object.fromEntries(new URLSearchParams(body))
    })
    scope.post('/echo', async request => request.body)
    scope.post('/small', { bodyLimit: 10 }, async request => request.body)
  }

  for (const temperature of TEMPERATURES) {
    t.test(`${temperature}: a JSON body is parsed once`, async t => {
      const app = await listen(appOf(t, { acme: echo }))
      await warm(app, temperature)
      let parsed = 0
      const body = JSON.stringify({ text: 'x'.repeat(500_000) })
      app.server.once('request', (raw: IncomingMessage) => { raw.once('end', () => { parsed++ }) })
      const answer = await exchange(app, { method: 'POST', url: '/echo', tenant: 'acme', headers: { 'content-type': 'application/json' }, body })
      t.equal(answer.status, 200)
      t.equal(answer.body, body)
      t.equal(parsed, 1)
    })

    t.test(`${temperature}: the tenant's own parser parses a body; the app and other tenants do not have it`, async t => {
      const app = appOf(t, { acme: echo, globex: async scope => { scope.post('/echo', async request => request.body) } })
      app.post('/shared', async request => request.body)
      await app.ready()
      await warm(app, temperature)
      const form = { method: 'POST', url: '/echo', payload: 'a=1&b=2' } as const
      const type = { 'content-type': 'application/x-www-form-urlencoded' }
      t.strictSame((await app.inject({ ...form, headers: { ...type, ...as('acme') } })).json(), { a: '1', b: '2' })
      t.equal((await app.inject({ ...form, headers: { ...type, ...as('globex') } })).statusCode, 415)
      t.equal((await app.inject({ ...form, url: '/shared', headers: { ...type, ...as('acme') } })).statusCode, 415)
    })

    t.test(`${temperature}: the body limit is the route's`, async t => {
      const app = appOf(t, { acme: echo }, {}, { bodyLimit: 100 })
      await app.ready()
      await warm(app, temperature)
      const send = async (url: string, length: number): Promise<number> => {
        const { statusCode } = await app.inject({ method: 'POST', url, headers: { ...as('acme'), 'content-type': 'application/json' }, payload: JSON.stringify('x'.repeat(length - 2)) })
        return statusCode
      }
      t.equal(await send('/small', 10), 200)
      t.equal(await send('/small', 11), 413)
      t.equal(await send('/echo', 100), 200)
      t.equal(await send('/echo', 101), 413)
    })

    t.test(`${temperature}: an upload is streamed`, async t => {
      const app = await listen(appOf(t, {
        acme: async scope => {
          scope.addContentTypeParser('application/octet-stream', async (_request: FastifyRequest, payload: Readable) => payload)
          scope.post('/upload', { bodyLimit: 2 ** 24 }, async request => sha(await buffer(request.body as Readable)))
        }
      }))
      await warm(app, temperature)
      const upload = randomBytes(8_000_000)
      const closed = responseClosed(app)
      const client = ask(app, { method: 'POST', url: '/upload', tenant: 'acme', headers: { 'content-type': 'application/octet-stream' } })
      Readable.from(chunks(upload, 60_000)).pipe(client)
      const [incoming]: IncomingMessage[] = await event(client, 'response')
      t.equal((await read(incoming as IncomingMessage)).body, sha(upload))
      await closed
      t.equal(await inFlight(app, 'acme'), 0)
    })
  }

  t.test("the app's parsers serve the tenant's routes", async t => {
    const app = appOf(t, { acme: async scope => { scope.post('/echo', async request => request.body) } })
    app.addContentTypeParser('text/csv', { parseAs: 'string' }, async (_request: FastifyRequest, body: string) => body.split(','))
    const answer = await app.inject({ method: 'POST', url: '/echo', headers: { ...as('acme'), 'content-type': 'text/csv' }, payload: 'a,b' })
    t.strictSame(answer.json(), ['a', 'b'])
  })

  t.test("a preParsing hook of the app changes the payload of a tenant's route once", async t => {
    const app = appOf(t, { acme: echo })
    app.addHook('preParsing', async (request, _reply, payload) => {
      const wrapped = Readable.from([`{"wrapped":${await text(payload as Readable)}}`])
      return Object.assign(wrapped, { receivedEncodedLength: Number(request.headers['content-length']) })
    })
    const answer = await app.inject({ method: 'POST', url: '/echo', headers: { ...as('acme'), 'content-type': 'application/json' }, payload: '{"a":1}' })
    t.strictSame(answer.json(), { wrapped: { a: 1 } })
  })
})

t.test('answers', async t => {
  t.test('a stream reaches the client completely', async t => {
    const download = randomBytes(8_000_000)
    const app = await listen(appOf(t, {
      acme: async scope => { scope.get('/download', async (_request, reply) => reply.type('application/octet-stream').send(Readable.from(chunks(download, 60_000)))) }
    }))
    const closed = responseClosed(app)
    const client = ask(app, { url: '/download', tenant: 'acme' }).end()
    const [incoming]: Readable[] = await event(client, 'response')
    t.equal(sha(await buffer(incoming as Readable)), sha(download))
    await closed
    t.equal(await inFlight(app, 'acme'), 0)
  })

  t.test('each server-sent event arrives before the next is written', async t => {
    const next = new Door()
    const app = await listen(appOf(t, {
      acme: async scope => {
        scope.get('/events', async (_request, reply) => {
          reply.hijack()
          reply.raw.writeHead(200, { 'content-type': 'text/event-stream' })
          reply.raw.write('data: one\n\n')
          await next.pass()
          reply.raw.end('data: two\n\n')
        })
      }
    }))
    const closed = responseClosed(app)
    const client = ask(app, { url: '/events', tenant: 'acme' }).end()
    const [incoming]: IncomingMessage[] = await event(client, 'response')
    const [first]: Buffer[] = await event(incoming as IncomingMessage, 'data')
    t.equal(String(first), 'data: one\n\n')
    t.equal(await inFlight(app, 'acme'), 1, 'the tenant is held while the events go on')

    const second = event(incoming as IncomingMessage, 'data')
    next.open()
    t.equal(String((await second)[0]), 'data: two\n\n')
    await closed
    t.equal(await inFlight(app, 'acme'), 0)
  })

  t.test('reply.hijack() ends the lifecycle of the reply', async t => {
    const app = emptyApp(t)
    const ran = recordHooks(app)
    app.register(multitenant, {
      tenants: tenants({
        acme: async scope => {
          scope.get('/raw', (_request, reply) => {
            reply.hijack()
            reply.raw.setHeader('x-raw', 'yes').end('raw')
          })
        }
      })
    })
    await listen(app)
    const answer = await exchange(app, { url: '/raw', tenant: 'acme' })
    t.equal(answer.body, 'raw')
    t.equal(answer.headers['x-raw'], 'yes')
    t.strictSame(ran, once(['onRequest', 'preParsing', 'preValidation', 'preHandler', 'onResponse'], '/raw'))
    t.equal(await inFlight(app, 'acme'), 0)
  })

  t.test('HEAD', async t => {
    const app = appOf(t, {
      acme: async scope => {
        scope.get('/get', async () => 'acme!')
        scope.head('/head', async (_request, reply) => { reply.header('x-head', 'acme').send() })
        scope.get('/head', async () => 'unlike its head')
      },
      globex: async scope => { scope.get('/get', { exposeHeadRoute: false }, async () => 'globex') }
    })
    app.get('/shared', async () => 'the app')
    const head = async (url: string, id: string) => await app.inject({ method: 'HEAD', url, headers: as(id) })
    const exposed = await head('/get', 'acme')
    t.equal(exposed.statusCode, 200)
    t.equal(exposed.headers['content-length'], '5')
    t.equal(exposed.body, '')
    t.equal((await head('/head', 'acme')).headers['x-head'], 'acme')
    t.equal((await head('/get', 'globex')).statusCode, 404)
    t.equal((await head('/shared', 'acme')).headers['content-length'], '7')
  })

  t.test('OPTIONS', async t => {
    const app = appOf(t, {
      acme: async scope => { scope.options('/own', async (_request, reply) => reply.header('allow', 'GET').send()) }
    })
    app.options('*', async (_request, reply) => reply.header('allow', 'the app').send())
    const options = async (url: string) => (await app.inject({ method: 'OPTIONS', url, headers: as('acme') })).headers.allow
    t.equal(await options('/own'), 'GET')
    t.equal(await options('/other'), 'the app')
  })

  t.test('a method that was added with addHttpMethod()', async t => {
    const app = emptyApp(t)
    app.addHttpMethod('REPORT', { hasBody: true })
    app.register(multitenant, {
      tenants: tenants({
        acme: async scope => {
          scope.addHttpMethod('SEARCH')
          scope.route({ method: 'REPORT', url: '/own', handler: async request => request.body })
          scope.route({ method: 'SEARCH', url: '/own', handler: async () => 'found' })
        }
      })
    })
    await listen(app)
    const report = await exchange(app, { method: 'REPORT', url: '/own', tenant: 'acme', headers: { 'content-type': 'application/json' }, body: '{"a":1}' })
    t.equal(report.body, '{"a":1}')
    t.equal((await exchange(app, { method: 'SEARCH', url: '/own', tenant: 'acme' })).body, 'found')
    t.notOk(app.supportedMethods.includes('SEARCH'), "the tenant's is its own")
  })

  t.test('trailers and early hints', async t => {
    const app = await listen(appOf(t, {
      acme: async scope => {
        scope.get('/own', async (_request, reply) => {
          reply.writeEarlyHints({ link: '</style.css>; rel=preload; as=style' })
          reply.trailer('etag', async () => 'trailing')
          return 'body'
        })
      }
    }))
    const client = ask(app, { url: '/own', tenant: 'acme' }).end()
    const hinted = event(client, 'information')
    const responded = event(client, 'response')
    t.match(await hinted, [{ statusCode: 103, headers: { link: '</style.css>; rel=preload; as=style' } }])
    const [incoming]: IncomingMessage[] = await responded
    const answer = await read(incoming as IncomingMessage)
    t.equal(answer.body, 'body')
    t.equal(answer.trailers.etag, 'trailing')
  })
})

function * chunks (data: Buffer, size: number): Generator<Buffer> {
  for (let at = 0; at < data.length; at += size) yield data.subarray(at, at + size)
}
