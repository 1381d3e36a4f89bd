import t from 'tap'
import type { FastifyInstance, FastifyServerOptions } from 'fastify'
import { hold } from '../fixtures/contract/contract.ts'
import type { Contract } from '../fixtures/contract/contract.ts'

/** Routes that log at several levels, and return the id of the request. */
function writing (app: FastifyInstance, url = '/own', options = {}): void {
  app.get(url, options, async (request, reply) => {
    request.log.debug('a debug line')
    request.log.info({ user: { name: 'ann', secret: 'x' } }, 'an info line')
    reply.log.warn('a warning')
    return { id: request.id, level: request.log.level }
  })
}

const hidden = { user: ({ name }: { name: string }) => ({ name }) }
const upper = { user: ({ name }: { name: string }) => name.toUpperCase() }

const lines: Record<string, Contract> = {
  'of a request, of an error and of an unknown URL': {
    program: scope => {
      writing(scope)
      scope.get('/broken', async () => { throw new Error('broken') })
      scope.get('/refused', async () => { throw Object.assign(new Error('refused'), { statusCode: 403 }) })
    },
    ask: ['/own', { url: '/broken', status: 500 }, { url: '/refused', status: 403 }, { url: '/nowhere', status: 404 }]
  },
  'of the program itself': {
    program: async scope => {
      scope.log.info('the program')
      await scope.register(async child => { child.log.info('a child') }, { logLevel: 'error' })
      writing(scope)
    },
    ask: ['/own']
  },
  'what the logger has as its own, as @fastify/bearer-auth asks': {
    program: (scope, note) => {
      note(['error', 'debug', 'none'].map(level => [Object.hasOwn(scope.log, level), typeof Reflect.get(scope.log, level)]))
      writing(scope, '/debug', { logLevel: 'debug' })
      writing(scope)
    },
    ask: ['/own', '/debug']
  },
  'a level that changes later': {
    app: app => { app.get('/of/the/app', async () => { app.log.level = 'debug' }) },
    program: scope => {
      writing(scope)
      scope.get('/of/the/program', async () => { scope.log.level = 'warn' })
    },
    ask: ['/own', '/of/the/app', '/own', '/of/the/program', '/own']
  },
  'logLevel of a plugin and of a route': {
    program: async scope => {
      await scope.register(async child => {
        child.log.info('not to be seen')
        writing(child)
        writing(child, '/route', { logLevel: 'debug' })
        child.setNotFoundHandler(async (request, reply) => {
          request.log.info('not to be seen')
          reply.code(404)
        })
      }, { prefix: '/child', logLevel: 'warn' })
      writing(scope, '/silent', { logLevel: 'silent' })
    },
    ask: ['/child/own', '/child/route', '/silent', { url: '/child/nowhere', status: 404 }]
  },
  'serializers of a plugin and of a route': {
    program: async scope => {
      await scope.register(async child => {
        writing(child)
        writing(child, '/route', { logSerializers: upper })
        await child.register(async grandchild => writing(grandchild, '/deep'), { logSerializers: { other: () => 'x' } } as object)
      }, { logSerializers: hidden } as object)
    },
    ask: ['/own', '/route', '/deep']
  },
  'disableRequestLogging by a function': {
    options: { disableRequestLogging: ({ url }: { url: string }) => url === '/quiet' } as FastifyServerOptions,
    program: scope => {
      writing(scope)
      writing(scope, '/quiet')
    },
    ask: ['/own', '/quiet', { url: '/nowhere', status: 404 }]
  },
  'disableRequestLogging of all': {
    options: { disableRequestLogging: true },
    program: scope => writing(scope),
    ask: ['/own', { url: '/nowhere', status: 404 }]
  },
  'no logger at all': {
    options: { logger: false },
    program: (scope, note) => {
      note(typeof scope.log.info)
      scope.get('/own', async ({ id, log }) => ({ id, same: log.info === scope.log.info }))
    },
    ask: ['/own']
  }
}

for (const of of ['app', 'program', 'child'] as const) {
  const factory: Parameters<FastifyInstance['setChildLoggerFactory']>[0] = function (logger, bindings, options, raw) {
    return logger.child({ ...bindings, of, prefix: this.prefix, agent: raw.headers['x-tenant-id'] }, options)
  }
  lines[`a child logger factory of the ${of}`] = {
    app: app => { if (of === 'app') app.setChildLoggerFactory(factory) },
    program: async scope => {
      if (of === 'program') scope.setChildLoggerFactory(factory)
      writing(scope)
      await scope.register(async child => {
        if (of === 'child') child.setChildLoggerFactory(factory)
        writing(child, '/own', { logSerializers: upper })
      }, { prefix: '/child' })
    },
    ask: ['/own', '/child/own', { url: '/nowhere', status: 404 }]
  }
  const generator = ({ headers }: { headers: Record<string, unknown> }): string => `${of} ${String(headers['x-request'])}`
  lines[`a generator of request ids of the ${of}`] = {
    app: app => { if (of === 'app') app.setGenReqId(generator) },
    program: async scope => {
      if (of === 'program') scope.setGenReqId(generator)
      writing(scope)
      await scope.register(async child => {
        if (of === 'child') child.setGenReqId(generator)
        writing(child)
      }, { prefix: '/child' })
    },
    ask: [{ url: '/nowhere', status: 404 }, { url: '/own', headers: { 'x-request': '7' } }, { url: '/child/own', headers: { 'x-request': '8' } }]
  }
}

const ids: Record<string, Contract> = {
  'requestIdHeader and requestIdLogLabel': {
    options: { requestIdHeader: 'x-request', requestIdLogLabel: 'request' },
    program: scope => writing(scope),
    ask: [{ url: '/own', headers: { 'x-request': '7' } }, '/own']
  },
  'genReqId of the app': {
    options: { genReqId: raw => `of ${String(raw.url)}` },
    program: scope => writing(scope),
    ask: ['/own']
  },
  'ids that are counted': {
    app: app => writing(app, '/shared'),
    program: scope => writing(scope),
    ask: ['/own', '/shared', '/own']
  }
}

t.test('lines', async t => hold(t, lines))
t.test('ids', async t => hold(t, ids))
