import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import t from 'tap'
import type { FastifyInstance, FastifyReply, FastifyRequest, preParsingAsyncHookHandler } from 'fastify'
import { attempt, hold } from '../fixtures/contract/contract.ts'
import type { Contract, Note } from '../fixtures/contract/contract.ts'

const STAGES = ['onRequest', 'preParsing', 'preValidation', 'preHandler', 'preSerialization', 'onSend', 'onResponse', 'onError', 'onTimeout', 'onRequestAbort'] as const
const BEFORE_ANSWER = ['onRequest', 'preParsing', 'preValidation', 'preHandler', 'preSerialization', 'onSend'] as const

type Name = typeof STAGES[number]

/** Adds a hook by name, in any form; Fastify passes its result on. */
function addHook (app: FastifyInstance, name: string, hook: (this: FastifyInstance, ...parameters: never[]) => unknown): void {
  app.addHook(name as 'onRequest', hook as never)
}

/** Adds all hooks, alternately async and with a callback, that record where they run and with which arguments. */
function tell (app: FastifyInstance, of: string, note: Note): void {
  STAGES.forEach((name, index) => {
    function see (this: FastifyInstance, request: FastifyRequest): void {
      note([of, name, request.routeOptions.url ?? '404', request.is404, this.prefix, request.server.prefix, request.id])
    }
    if (index % 2 === 0 || name === 'onRequestAbort') return addHook(app, name, async function (request: FastifyRequest) { see.call(this, request) })
    addHook(app, name, function (request: FastifyRequest, _reply: FastifyReply, ...rest: unknown[]) {
      see.call(this, request)
      const done = rest.at(-1) as (error: null, value?: unknown) => void
      // onError passes no value on.
      if (name === 'onError') return (done as () => void)()
      done(null, rest.at(-2))
    })
  })
}

/** A preParsing hook that puts the body into an object. */
function wrapped (key: string): preParsingAsyncHookHandler {
  return async ({ headers }, _reply, payload) => {
    const stream = Readable.from([Buffer.from(`{"${key}":${await text(payload)}}`)])
    // Fastify compares this with the announced content length.
    return Object.assign(stream, { receivedEncodedLength: Number(headers['content-length']) })
  }
}

const requests: Record<string, Contract> = {
  'hooks of the app, of the program, of a child of it and of a route, in order': {
    app: (app, note) => {
      tell(app, 'app', note)
      app.get('/shared', async () => ({ shared: true }))
    },
    program: async (scope, note) => {
      tell(scope, 'program', note)
      await scope.register(async child => {
        tell(child, 'child', note)
        child.get('/item', { onRequest: async () => note('route') }, async () => ({ ok: true }))
      }, { prefix: '/child' })
      scope.get('/own', async () => ({ ok: true }))
      scope.get('/broken', async () => { throw new Error('broken') })
      scope.get('/shared-too', { config: { access: 'open' } }, async ({ routeOptions }) => routeOptions.config.access)
    },
    ask: ['/own', '/child/item', '/shared', '/shared-too', { url: '/broken', status: 500 }, { url: '/nowhere', status: 404 }]
  },
  'hooks of the program do not run for routes of the app': {
    app: app => { app.get('/shared', async () => ({ shared: true })) },
    program: (scope, note) => tell(scope, 'program', note),
    ask: ['/shared', { url: '/nowhere', status: 404 }]
  },
  'hooks that were added after the routes': {
    program: (scope, note) => {
      scope.get('/own', async () => ({ ok: true }))
      tell(scope, 'program', note)
    },
    ask: ['/own']
  },
  'hooks that change what passes': {
    app: app => {
      app.addHook('preParsing', wrapped('app'))
      app.addHook('preSerialization', async (_request, _reply, payload) => ({ app: payload }))
      app.addHook('onSend', async (_request, reply, payload) => {
        reply.header('x-app', 'seen')
        return `${String(payload)} and the app`
      })
    },
    program: scope => {
      scope.addHook('preParsing', wrapped('program'))
      scope.addHook('preSerialization', async (_request, _reply, payload) => ({ own: payload }))
      scope.addHook('onSend', async (_request, reply, payload) => {
        reply.removeHeader('content-length')
        return `${String(payload)} and the program`
      })
      scope.post('/own', async ({ body }) => ({ body }))
    },
    ask: [{ url: '/own', method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"a":1}' }]
  },
  onTimeout: {
    app: (app, note) => { app.addHook('onTimeout', async () => note('app')) },
    program: (scope, note) => {
      scope.addHook('onTimeout', async ({ routeOptions }) => note(routeOptions.url))
      scope.get('/slow', (request, reply) => {
        request.raw.socket.emit('timeout')
        reply.hijack()
      })
    },
    ask: [{ url: '/slow', status: null }],
    options: { connectionTimeout: 60_000 },
    doors: ['socket']
  },
  onRequestAbort: {
    app: (app, note) => { app.addHook('onRequestAbort', async _request => note('app')) },
    program: (scope, note) => {
      scope.addHook('onRequestAbort', async ({ routeOptions }) => note(routeOptions.url))
      scope.addHook('onResponse', async (request, reply) => note([request.raw.destroyed, reply.sent]))
      scope.get('/left', (request, reply) => {
        request.raw.socket.destroy()
        reply.hijack()
      })
      scope.get('/left-late', async request => {
        request.raw.socket.destroy()
        return 'late'
      })
    },
    ask: [{ url: '/left', status: null }, { url: '/left-late', status: null }],
    doors: ['socket']
  }
}

for (const name of BEFORE_ANSWER) {
  for (const of of ['app', 'program'] as const) {
    const failing = (app: FastifyInstance): void => {
      addHook(app, name, async (request: FastifyRequest) => {
        if (request.url === '/fails') throw Object.assign(new Error(`of ${name}`), { statusCode: 418 })
      })
    }
    requests[`${name} of the ${of} that throws`] = {
      app: (app, note) => {
        if (of === 'app') failing(app)
        app.addHook('onError', async () => note('onError of the app'))
        app.addHook('onResponse', async () => note('onResponse of the app'))
      },
      program: (scope, note) => {
        scope.addHook('onError', async () => note('onError'))
        if (of === 'program') failing(scope)
        scope.get('/fails', async () => ({ ok: false }))
        scope.get('/works', async () => ({ ok: true }))
      },
      ask: [{ url: '/fails', status: 418 }, '/works']
    }
  }
}

for (const name of BEFORE_ANSWER.slice(0, 4) as Name[]) {
  for (const of of ['app', 'program'] as const) {
    const answering = (app: FastifyInstance): void => addHook(app, name, async (_request: FastifyRequest, reply: FastifyReply) => reply.code(202).send({ early: name }))
    requests[`${name} of the ${of} that answers`] = {
      app: (app, note) => {
        if (of === 'app') answering(app)
        tell(app, 'app', note)
      },
      program: (scope, note) => {
        if (of === 'program') answering(scope)
        tell(scope, 'program', note)
        scope.get('/own', async () => note('handler'))
      },
      ask: [{ url: '/own', status: 202 }]
    }
  }
}

const application: Record<string, Contract> = {
  'onRoute of the app and of the program': {
    app: (app, note) => { app.addHook('onRoute', function (route) { note(['app', route.method, route.url, route.path, route.routePath, route.prefix, this.prefix]) }) },
    program: async (scope, note) => {
      scope.addHook('onRoute', function (route) {
        note(['program', route.method, route.url, route.path, route.routePath, route.prefix, this.prefix])
        if (route.url === '/own') route.preHandler = async (_request, reply) => { reply.header('x-route', 'changed') }
      })
      scope.get('/own', async () => ({ ok: true }))
      await scope.register(async child => {
        child.post('/', async () => ({ ok: true }))
        child.route({ method: ['GET', 'PUT'], url: '/items/:id', handler: async ({ params }) => params })
      }, { prefix: '/child' })
    },
    ask: ['/own', '/child/items/1', { url: '/child', method: 'POST' }, { url: '/child/', method: 'POST' }]
  },
  'onRegister of the program': {
    program: async (scope, note) => {
      scope.addHook('onRegister', (instance, options) => {
        note([instance.prefix, options.prefix, instance === scope, Object.getPrototypeOf(instance) === scope])
        instance.decorate('ofChild', instance.prefix)
      })
      await scope.register(async child => note(child.getDecorator('ofChild')), { prefix: '/child' })
      note(scope.hasDecorator('ofChild'))
    }
  },
  'application hooks of the program, in their forms': {
    program: async (scope, note) => {
      scope.addHook('onReady', async function () { note(['onReady', this === scope]) })
      scope.addHook('onReady', done => {
        note('onReady with a callback')
        done()
      })
      scope.addHook('onListen', async function () { note(['onListen', this === scope]) })
      scope.addHook('preClose', async function () { note(['preClose', this === scope]) })
      scope.addHook('onClose', async function (instance) { note(['onClose', this === scope, instance === scope]) })
      scope.addHook('onClose', (instance, done) => {
        note(['onClose with a callback', instance === scope])
        done()
      })
      await scope.register(async child => {
        for (const name of ['onReady', 'onListen', 'preClose', 'onClose']) addHook(child, name, async () => note(`${name} of a child`))
      })
      scope.get('/own', async () => ({ ok: true }))
    },
    ask: ['/own']
  },
  'onListen hooks of plugins, which wait for none of another': {
    program: async (scope, note) => {
      scope.addHook('onListen', done => {
        note('first')
        done()
      })
      for (const name of ['one', 'two']) {
        await scope.register(async child => {
          child.addHook('onListen', done => {
            note(name)
            if (name === 'two') done()
          })
          child.addHook('onListen', async () => note(`${name}, when its first is through`))
        })
      }
      scope.get('/own', async () => ({ ok: true }))
    },
    ask: ['/own']
  },
  'onReady that fails': {
    program: scope => { scope.addHook('onReady', async () => { throw Object.assign(new Error('not ready'), { code: 'NOT_READY' }) }) },
    fails: 'NOT_READY'
  },
  'preClose and onClose that fail': {
    program: async (scope, note) => {
      for (const name of ['preClose', 'onClose']) {
        addHook(scope, name, async () => note(`${name} first`))
        addHook(scope, name, async () => {
          note(name)
          throw new Error(`of ${name}`)
        })
        addHook(scope, name, async () => note(`${name} last`))
        await scope.register(async child => addHook(child, name, async () => note(`${name} of a child`)))
      }
    },
    limit: "Application hooks are the tenant's"
  },
  'application hooks of the app run once': {
    app: (app, note) => {
      for (const name of ['onReady', 'onListen', 'preClose', 'onClose']) addHook(app, name, async () => note(name))
    },
    program: scope => { scope.get('/own', async () => ({ ok: true })) },
    ask: ['/own']
  },
  'a hook of no such name': {
    program: scope => { scope.addHook('onWhatever' as 'onRequest', async () => {}) },
    fails: 'FST_ERR_HOOK_NOT_SUPPORTED'
  },
  'a hook that is added too late': {
    program: (scope, note) => {
      scope.get('/late', async () => {
        attempt(note, () => scope.addHook('onRequest', async () => {}))
        return { ok: true }
      })
    },
    ask: ['/late']
  }
}

t.test('request hooks', async t => hold(t, requests))
t.test('application hooks', async t => hold(t, application))
