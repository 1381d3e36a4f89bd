import { Readable } from 'node:stream'
import { gunzipSync, gzipSync } from 'node:zlib'
import accepts from '@fastify/accepts'
import caching from '@fastify/caching'
import circuitBreaker from '@fastify/circuit-breaker'
import compress from '@fastify/compress'
import etag from '@fastify/etag'
import formbody from '@fastify/formbody'
import multipart from '@fastify/multipart'
import responseValidation from '@fastify/response-validation'
import sensible from '@fastify/sensible'
import throttle from '@fastify/throttle'
import underPressure from '@fastify/under-pressure'
import urlData from '@fastify/url-data'
import t from 'tap'
import type { FastifyPluginAsync, InjectOptions } from 'fastify'
import { tryAll } from '../fixtures/compatibility/suite.ts'

const item: FastifyPluginAsync = async scope => { scope.get('/item', async () => ({ item: 1 })) }
const echo: FastifyPluginAsync = async scope => { scope.post('/echo', async ({ body }) => body) }

const stream: FastifyPluginAsync = async scope => {
  scope.get('/stream', async (_request, reply) => reply.send(Readable.from([Buffer.from('a'), Buffer.from('b')])))
}
/** The owners whose plugin ran, in order. */
const throttled: string[] = []

function upload (): InjectOptions {
  const payload = new FormData()
  payload.set('file', new Blob(['hello']), 'hello.txt')
  return { method: 'POST', url: '/files', payload }
}

t.test('http', async t => tryAll(t, 'http', {
  '@fastify/accepts': {
    plugin: () => async app => { await app.register(accepts, { decorateReply: true }) },
    routes: async scope => {
      scope.get('/item', async (request, reply) => [request.type(['json', 'html']), request.language(['de', 'en']), reply.requestEncoding(['gzip', 'identity'])])
    },
    works: async (t, { send }) => {
      const headers = { accept: 'text/html', 'accept-language': 'en', 'accept-encoding': 'gzip' }
      t.same((await send({ url: '/item', headers })).json(), ['html', 'en', 'gzip'])
    },
    decorates: ['request.accepts', 'request.type', 'reply.requestAccepts']
  },
  '@fastify/caching': {
    plugin: owner => async app => { await app.register(caching, { privacy: caching.privacy.PUBLIC, expiresIn: owner === 'globex' ? 60 : 30 }) },
    routes: async scope => {
      scope.get('/item', async (_request, reply) => {
        reply.etag('the-etag').expires(new Date(0))
        return { item: 1 }
      })
    },
    works: async (t, { send }, owner) => {
      const { headers } = await send('/item')
      t.match(headers, { 'cache-control': `public, max-age=${owner === 'globex' ? 60 : 30}`, etag: 'the-etag', expires: new Date(0).toUTCString() })
      t.equal((await send({ url: '/item', headers: { 'if-none-match': 'the-etag' } })).statusCode, 304)
    },
    bare: item,
    decorates: ['app.cache', 'reply.etag', 'reply.expires'],
    absent: async (t, { send }) => { t.equal((await send('/item')).headers['cache-control'], undefined) }
  },
  '@fastify/circuit-breaker': {
    plugin: owner => async app => { await app.register(circuitBreaker, { threshold: 2, resetTimeout: 3000, circuitOpenErrorMessage: `open in ${owner}` }) },
    routes: async scope => {
      scope.get('/fails', { preHandler: scope.circuitBreaker() }, async () => { throw new Error('broken') })
      scope.get('/item', { preHandler: scope.circuitBreaker() }, async () => ({ item: 1 }))
    },
    works: async (t, { send }, owner) => {
      t.same([(await send('/fails')).statusCode, (await send('/fails')).statusCode], [500, 503])
      t.match((await send('/fails')).json(), { statusCode: 503, message: `open in ${owner}` })
      t.equal((await send('/item')).statusCode, 200)
    },
    decorates: ['app.circuitBreaker']
  },
  '@fastify/compress': {
    plugin: () => async app => { await app.register(compress, { threshold: 10 }) },
    routes: async scope => {
      scope.get('/text', async () => 'x'.repeat(100))
      scope.get('/stream', async (_request, reply) => reply.type('text/plain').compress(Readable.from(['a', 'b'])))
      scope.get('/off', { compress: false }, async () => 'x'.repeat(100))
      await scope.register(echo)
    },
    works: async (t, { send }) => {
      const headers = { 'accept-encoding': 'gzip' }
      const response = await send({ url: '/text', headers })
      t.equal(response.headers['content-encoding'], 'gzip')
      t.equal(String(gunzipSync(response.rawPayload)), 'x'.repeat(100))
      t.equal(String(gunzipSync((await send({ url: '/stream', headers })).rawPayload)), 'ab')
      t.equal((await send({ url: '/off', headers })).headers['content-encoding'], undefined)
      t.equal((await send('/text')).headers['content-encoding'], undefined)
      t.same((await send({ method: 'POST', url: '/echo', headers: { 'content-type': 'application/json', 'content-encoding': 'gzip' }, payload: gzipSync('{"a":1}') })).json(), { a: 1 })
    },
    bare: async scope => { scope.get('/text', async () => 'x'.repeat(100)) },
    decorates: ['reply.compress'],
    absent: async (t, { send }) => { t.equal((await send({ url: '/text', headers: { 'accept-encoding': 'gzip' } })).headers['content-encoding'], undefined) }
  },
  '@fastify/etag': {
    plugin: () => async app => { await app.register(etag, { algorithm: 'sha1' }) },
    routes: item,
    works: async (t, { send }) => {
      const tag = String((await send('/item')).headers.etag)
      t.match(tag, /^".+"$/)
      const again = await send({ url: '/item', headers: { 'if-none-match': tag } })
      t.same([again.statusCode, again.body], [304, ''])
    },
    bare: item,
    absent: async (t, { send }) => { t.equal((await send('/item')).headers.etag, undefined) }
  },
  '@fastify/formbody': {
    plugin: owner => async app => { await app.register(formbody, { parser: text => ({ owner, ...Object.fromEntries(new URLSearchParams(text)) }) }) },
    routes: echo,
    works: async (t, { send }, owner) => {
      const response = await send({ method: 'POST', url: '/echo', headers: { 'content-type': 'application/x-www-form-urlencoded' }, payload: 'a=1&b=%20' })
      t.same(response.json(), { owner, a: '1', b: ' ' })
    },
    bare: echo,
    absent: async (t, { send }) => {
      t.equal((await send({ method: 'POST', url: '/echo', headers: { 'content-type': 'application/x-www-form-urlencoded' }, payload: 'a=1' })).statusCode, 415)
    }
  },
  '@fastify/multipart': {
    plugin: owner => async app => { await app.register(multipart, { limits: { fileSize: owner === 'globex' ? 5 : 100 } }) },
    routes: async scope => {
      scope.post('/files', async request => {
        const file = await request.file()
        return { name: file?.filename, text: String(await file?.toBuffer()) }
      })
    },
    works: async (t, { send }) => { t.same((await send(upload())).json(), { name: 'hello.txt', text: 'hello' }) },
    bare: async scope => { scope.post('/files', async () => ({})) },
    decorates: ['request.file', 'request.parts', 'request.isMultipart'],
    absent: async (t, { send }) => { t.equal((await send(upload())).statusCode, 415) }
  },
  '@fastify/response-validation': {
    plugin: () => async app => { await app.register(responseValidation) },
    routes: async scope => {
      const schema = { response: { 200: { type: 'object', properties: { item: { type: 'number' } } } } }
      scope.get('/right', { schema }, async () => ({ item: 1 }))
      scope.get('/wrong', { schema }, async () => ({ item: 'one' }))
      scope.get('/off', { schema, responseValidation: false }, async () => ({ item: 2 }))
    },
    works: async (t, { send }) => {
      t.same((await send('/right')).json(), { item: 1 })
      t.match((await send('/wrong')).json(), { statusCode: 500, message: 'response/item must be number' })
      t.equal((await send('/off')).statusCode, 200)
    },
    bare: async scope => { scope.get('/wrong', { schema: { response: { 200: { type: 'object', properties: { item: { type: 'string' } } } } } }, async () => ({ item: 1 })) },
    absent: async (t, { send }) => { t.equal((await send('/wrong')).statusCode, 200) }
  },
  '@fastify/sensible': {
    plugin: () => async app => { await app.register(sensible, { sharedSchemaId: 'HttpError' }) },
    routes: async scope => {
      scope.get('/nothing', (_request, reply) => reply.notFound())
      scope.get('/refused', async () => { throw scope.httpErrors.imateapot() })
      scope.get('/item', { schema: { response: { '4xx': { $ref: 'HttpError#' } } } }, async (_request, reply) => {
        reply.vary('accept')
        reply.cacheControl('public')
        const [error, value] = await scope.to(Promise.resolve(1))
        return { error, value }
      })
    },
    works: async (t, { send }) => {
      t.same([(await send('/nothing')).statusCode, (await send('/refused')).statusCode], [404, 418])
      const response = await send('/item')
      t.same(response.json(), { error: null, value: 1 })
      t.match(response.headers, { vary: 'accept', 'cache-control': 'public' })
    },
    decorates: ['app.httpErrors', 'app.to', 'reply.notFound', 'request.forwarded']
  },
  '@fastify/throttle': {
    plugin: owner => async app => {
      await app.register(throttle, {
        bytesPerSecond: () => {
          throttled.push(owner)
          return () => 1_000_000
        }
      })
    },
    routes: stream,
    works: async (t, { send }, owner) => {
      throttled.length = 0
      t.equal((await send('/stream')).body, 'ab')
      t.same(throttled, [owner])
    },
    bare: stream,
    absent: async (t, { send }) => {
      throttled.length = 0
      t.equal((await send('/stream')).body, 'ab')
      t.same(throttled, [])
    }
  },
  '@fastify/under-pressure': {
    plugin: owner => async app => {
      await app.register(underPressure, {
        healthCheck: async () => false,
        healthCheckInterval: 60_000,
        pressureHandler: (request, reply, type) => {
          if (request.url !== '/status') reply.code(503).send({ type, owner })
        },
        exposeStatusRoute: '/status'
      })
    },
    routes: item,
    works: async (t, { app, id, send }, owner) => {
      const response = await send('/item')
      t.same([response.statusCode, response.json()], [503, { type: 'healthCheck', owner }])
      t.equal((await send('/status')).statusCode, 503)
      t.ok(app.multitenant.get(String(id))?.app.memoryUsage())
    },
    bare: item,
    decorates: ['app.memoryUsage', 'app.isUnderPressure'],
    absent: async (t, { send }) => { t.equal((await send('/item')).statusCode, 200) },
    note: 'It measures the whole process, also where one tenant registers it.'
  },
  '@fastify/url-data': {
    plugin: () => async app => { await app.register(urlData) },
    routes: async scope => { scope.get('/item', async request => [request.urlData('host'), request.urlData('path'), request.urlData('query')]) },
    works: async (t, { send, headers }) => { t.same((await send('/item?a=1')).json(), [headers.host, '/item', 'a=1']) },
    decorates: ['request.urlData']
  }
}))
