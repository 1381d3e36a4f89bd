import { Readable } from 'node:stream'
import t from 'tap'
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { attempt, hold } from '../fixtures/contract/contract.ts'
import type { Contract } from '../fixtures/contract/contract.ts'

/** An error handler that names its owner. */
function handling (app: FastifyInstance, of: string): void {
  app.setErrorHandler<FastifyError>(async function (error, request, reply) {
    reply.code(error.statusCode ?? 500)
    return { of, here: this.prefix, route: request.routeOptions.url, message: error.message, code: error.code, name: error.name }
  })
}

function throwing (app: FastifyInstance, url = '/broken'): void {
  app.get(url, async () => { throw Object.assign(new Error('broken'), { statusCode: 418, code: 'BROKEN', headers: { 'x-why': 'because' } }) })
}

const errors: Record<string, Contract> = {
  "without a handler: Fastify's own": {
    program: scope => {
      throwing(scope)
      scope.get('/thrown', () => { throw new Error('sync') })
      scope.get('/sent', (_request, reply) => { reply.code(409).send(new Error('sent')) })
      scope.get('/no-error', async () => { throw 'a string' }) // eslint-disable-line no-throw-literal
      scope.get('/status-200', async () => { throw Object.assign(new Error('odd'), { statusCode: 200 }) })
    },
    ask: [
      { url: '/broken', status: 418 }, { url: '/thrown', status: 500 }, { url: '/sent', status: 409 },
      { url: '/no-error', status: 500 }, { url: '/status-200', status: 500 }
    ]
  },
  'a chain: what the handler of a child throws goes to that of the program, and from there to that of the app': {
    app: app => handling(app, 'app'),
    program: async scope => {
      throwing(scope)
      scope.setErrorHandler<FastifyError>(async error => { throw Object.assign(new Error(`${error.message}, program`), { statusCode: 422 }) })
      await scope.register(async child => {
        throwing(child, '/child')
        child.setErrorHandler<FastifyError>(async error => { throw new Error(`${error.message}, child`) })
        throwing(child, '/late')
      })
    },
    ask: [{ url: '/broken', status: 422 }, { url: '/child', status: 422 }, { url: '/late', status: 422 }]
  },
  "a chain that ends with Fastify's own": {
    program: scope => {
      throwing(scope)
      scope.setErrorHandler<FastifyError>((error, _request, reply) => { reply.code(422).send(new Error(`${error.message}, program`)) })
    },
    ask: [{ url: '/broken', status: 422 }]
  },
  'a handler of the program is not that of the app': {
    app: app => throwing(app, '/shared'),
    program: scope => {
      handling(scope, 'program')
      throwing(scope)
    },
    ask: [{ url: '/broken', status: 418 }, { url: '/shared', status: 418 }]
  },
  'a second handler': {
    options: { allowErrorHandlerOverride: false },
    program: scope => {
      handling(scope, 'first')
      handling(scope, 'second')
    },
    fails: 'FST_ERR_ERROR_HANDLER_ALREADY_SET'
  },
  'a second handler where that may be': {
    program: scope => {
      handling(scope, 'first')
      handling(scope, 'second')
      throwing(scope)
    },
    ask: [{ url: '/broken', status: 418 }]
  },
  "a route's own handler": {
    app: app => handling(app, 'app'),
    program: scope => {
      scope.get('/own', { errorHandler: (error, _request, reply) => { reply.code(410).send({ route: error.message }) } }, async () => { throw new Error('broken') })
      scope.get('/on', { errorHandler: error => { throw error } }, async () => { throw new Error('broken') })
    },
    ask: [{ url: '/own', status: 410 }, { url: '/on', status: 500 }]
  },
  'what cannot be serialized, and a body that Fastify refuses': {
    app: app => handling(app, 'app'),
    program: scope => {
      scope.get('/circular', async () => {
        const circle: Record<string, unknown> = {}
        return Object.assign(circle, { circle })
      })
      scope.get('/number', async (_request, reply) => reply.type('text/plain').send(1 as never))
    },
    ask: [{ url: '/circular', status: 500 }, { url: '/number', status: 500 }]
  }
}

for (const of of ['nobody', 'app', 'program', 'child'] as const) {
  const answering = (app: FastifyInstance, whose: string): void => {
    app.setNotFoundHandler({ preHandler: async (_request: FastifyRequest, reply: FastifyReply) => { reply.header('x-hook', whose) } }, async (request, reply) => {
      reply.code(404)
      return { of: whose, is404: request.is404, url: request.url, params: request.params, query: request.query }
    })
  }
  errors[`404: a handler of ${of}`] = {
    app: (app, note) => {
      app.addHook('onRequest', async ({ is404, routeOptions }) => note(['app', is404, routeOptions.url]))
      if (of === 'app') answering(app, of)
    },
    program: async (scope, note) => {
      scope.addHook('onSend', async ({ is404, routeOptions }) => note(['program', is404, routeOptions.url]))
      if (of === 'program') answering(scope, of)
      scope.get('/calls', (_request, reply) => reply.callNotFound())
      await scope.register(async child => {
        child.addHook('onSend', async ({ is404 }) => note(['child', is404]))
        if (of === 'child') answering(child, of)
        child.get('/calls', (_request, reply) => reply.callNotFound())
      }, { prefix: '/child' })
    },
    ask: [
      '/nowhere?a=1', '/child/nowhere?a=1', '/child', '/childish', '/calls', '/child/calls',
      { url: '/calls', method: 'DELETE' }, { url: '/nowhere', method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"a":1}' }
    ].map(asked => ({ ...(typeof asked === 'string' ? { url: asked } : asked), status: 404 }))
  }
}

const answers: Record<string, Contract> = {
  'all that can be sent': {
    program: scope => {
      const send: Record<string, (reply: FastifyReply) => unknown> = {
        nothing: reply => reply.send(),
        null: reply => reply.send(null),
        text: reply => reply.send('text'),
        object: reply => reply.send({ a: 1 }),
        buffer: reply => reply.send(Buffer.from('buffer')),
        'typed-array': reply => reply.send(new Uint8Array([104, 105])),
        stream: reply => reply.type('text/plain').send(Readable.from(['a', 'b'])),
        'web-stream': reply => reply.send(Readable.toWeb(Readable.from(['a', 'b']))),
        response: reply => reply.send(new Response('a response', { status: 202, headers: { 'x-of': 'the response' } })),
        created: reply => reply.code(201).header('x-a', '1').headers({ 'x-b': '2' }).send({ id: 1 }),
        'no-content': reply => reply.code(204).send(),
        redirect: reply => reply.redirect('/text'),
        'redirect-307': reply => reply.redirect('/text', 307),
        type: reply => reply.type('application/xml').send('<a/>'),
        trailer: reply => reply.trailer('x-sum', async (_reply: FastifyReply, payload: unknown) => String(payload).length.toString()).send('text'),
        'removed-header': reply => reply.header('x-a', '1').removeHeader('x-a').send(String(reply.hasHeader('x-a'))),
        hijacked: reply => {
          reply.hijack()
          reply.raw.end('raw')
        }
      }
      for (const [name, sending] of Object.entries(send)) scope.get(`/${name}`, (_request, reply) => { sending(reply) })
    },
    ask: [
      '/nothing', '/null', '/text', '/object', '/buffer', '/typed-array', '/stream', '/web-stream', { url: '/response', status: 202 }, { url: '/created', status: 201 },
      { url: '/no-content', status: 204 }, { url: '/redirect', status: 302 }, { url: '/redirect-307', status: 307 }, '/type', '/trailer', '/removed-header', '/hijacked'
    ]
  },
  'what a request and a reply tell of themselves': {
    program: scope => {
      scope.get('/own/:id', { config: { access: 'open' }, logLevel: 'warn', bodyLimit: 99, schema: { summary: 'own' } as object }, async (request, reply) => {
        const { id, method, url, originalUrl, host, hostname, port, protocol, ip, ips, is404, params, query, body, headers, routeOptions, server } = request
        const { schema, ...route } = routeOptions
        return {
          request: { id, method, url, originalUrl, hostname, port: typeof port, host: host.split(':')[0], protocol, ip, ips, is404, params, query, body, tenant: headers['x-tenant-id'] },
          route: { ...route, schema: { ...schema } },
          same: [server === scope, request.log === reply.log, reply.request === request, reply.server === scope, request.raw.url === url],
          reply: [reply.statusCode, reply.sent, reply.routeOptions.url, reply.elapsedTime > 0]
        }
      })
    },
    ask: ['/own/1?a=2&a=3&b=%20']
  },
  'reply.elapsedTime begins with the route': {
    program: (scope, note) => {
      scope.get('/own', async (_request, reply) => {
        note(reply.elapsedTime > 0)
        return { ok: true }
      })
    },
    ask: ['/own']
  },
  'what is answered twice, or not at all': {
    program: (scope, note) => {
      scope.get('/twice', (_request, reply) => {
        reply.send({ first: true })
        attempt(note, () => reply.send({ second: true }))
      })
      scope.get('/undefined', async () => undefined)
      scope.get('/later', async (_request, reply) => {
        setImmediate(() => reply.send({ later: true }))
        return reply
      })
    },
    ask: ['/twice', '/undefined', '/later']
  }
}

t.test('errors', async t => hold(t, errors))
t.test('answers', async t => hold(t, answers))
