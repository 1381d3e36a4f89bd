import fp from 'fastify-plugin'
import t from 'tap'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { attempt, hold } from '../fixtures/contract/contract.ts'
import type { Contract } from '../fixtures/contract/contract.ts'

/** Records the decorators of its requests and replies. */
function decorated (scope: FastifyInstance): void {
  scope.get('/decorated', async (request, reply) => {
    const before = request.getDecorator('mark')
    request.setDecorator('mark', 'changed')
    return {
      before,
      after: request.getDecorator('mark'),
      called: request.getDecorator<() => string>('shout').call(request),
      got: request.getDecorator('route'),
      reply: [reply.getDecorator('mark'), reply.getDecorator<() => string>('shout').call(reply), reply.getDecorator('route')]
    }
  })
}

/** Decorates requests and replies with a value, a function and a getter. */
function decorate (scope: FastifyInstance): void {
  scope.decorateRequest('mark', 'of the request')
  scope.decorateRequest('shout', function (this: FastifyRequest) { return `request of ${this.url}` })
  scope.decorateRequest('route', { getter (this: FastifyRequest) { return this.routeOptions.url } })
  scope.decorateReply('mark', 'of the reply')
  scope.decorateReply('shout', function (this: FastifyReply) { return `reply to ${this.request.url}` })
  scope.decorateReply('route', { getter (this: FastifyReply) { return this.request.routeOptions.url } })
}

const decorators: Record<string, Contract> = {
  'instances: a value, a function and a getter of the app': {
    app: app => {
      app.decorate('list', [1, 2] as never)
      app.decorate('where', function (this: FastifyInstance) { return this.prefix } as never)
      app.decorate('here', { getter (this: FastifyInstance) { return `at '${this.prefix}'` } } as never)
    },
    program: async (scope, note) => {
      note([scope.getDecorator('list'), scope.hasDecorator('list'), scope.hasDecorator('nothing')])
      note([scope.getDecorator<() => string>('where').call(scope), scope.getDecorator('here')])
      await scope.register(async child => {
        note([child.getDecorator<() => string>('where').call(child), child.getDecorator('here')])
      }, { prefix: '/child' })
      scope.get('/own', async function () { return [this === scope, this.getDecorator('list')] })
    },
    ask: ['/own']
  },
  'instances: those of the program, for its children and not for the app': {
    app: app => { app.get('/shared', async () => ({ own: app.hasDecorator('own') })) },
    program: async (scope, note) => {
      scope.decorate('own', new Map([['a', 1]]) as never)
      await scope.register(async child => {
        note(child.getDecorator<Map<string, number>>('own').get('a'))
        child.decorate('deep', 1 as never)
      })
      note(scope.hasDecorator('deep'))
    },
    ask: ['/shared']
  },
  'requests and replies: those of the app': { app: decorate, program: decorated, ask: ['/decorated', '/decorated'] },
  'requests and replies: those of the program': { program: scope => { decorate(scope); decorated(scope) }, ask: ['/decorated', '/decorated'] },
  'requests and replies: those of the program are not on those of the app': {
    app: app => {
      app.get('/shared', async (request, reply) => ({
        known: [app.hasRequestDecorator('mark'), app.hasReplyDecorator('mark')], there: ['mark' in request, 'mark' in reply]
      }))
    },
    program: decorate,
    ask: ['/shared']
  },
  'requests and replies: symbols, what is set over a function and an accessor, and what is made of a request': {
    app: app => { app.decorateReply('shout', () => 'the app') },
    program: (scope, note) => {
      const key = Symbol('key')
      scope.decorateRequest(key as unknown as string, 'of a symbol')
      scope.decorateRequest('call', function (this: FastifyRequest) { return this.url })
      scope.decorateRequest('fixed', { getter: () => 'fixed' })
      scope.decorateRequest('kept', {
        getter () { return (this as { own?: string }).own ?? 'nothing' },
        setter (value: string) { Object.assign(this, { own: `${value}!` }) }
      })
      scope.decorateReply('shout', () => 'the program')
      scope.get('/own', async (request, reply) => {
        const own = request as unknown as { [key]: string, call: () => string, fixed: string, kept: string }
        const seen = [own[key], own.call(), own.fixed, own.kept, Object.create(own).call(), Object.hasOwn(own, 'call'), 'call' in own]
        let refused: unknown
        try { own.fixed = 'other' } catch (error) { refused = error }
        note(refused instanceof TypeError)
        own.call = () => 'replaced'
        own.kept = 'kept'
        return [seen, own.call(), Object.hasOwn(own, 'call'), own.fixed, own.kept, reply.getDecorator<() => string>('shout')()]
      })
    },
    ask: ['/own', '/own']
  },
  'requests and replies: what a child sets over those of the program': {
    program: async scope => {
      decorate(scope)
      decorated(scope)
      await scope.register(async child => {
        child.decorateRequest('shout', function (this: FastifyRequest) { return `child of ${this.url}` })
        child.decorateReply('shout', { getter: () => () => 'a getter over a function' })
        decorated(child)
      }, { prefix: '/child' })
      await scope.register(async child => {
        child.decorateRequest('shout', 'a value over a function')
        child.get('/value', async request => [request.getDecorator('shout'), Object.hasOwn(request, 'shout')])
      })
    },
    ask: ['/decorated', '/child/decorated', '/value']
  },
  'requests and replies: those of the route, in the 404 handler that it calls': {
    program: scope => {
      decorate(scope)
      scope.setNotFoundHandler(async (request, reply) => [request.getDecorator('route') ?? 'none', reply.getDecorator<() => string>('shout').call(reply), request.getDecorator('mark')])
      scope.register(async child => {
        child.decorateReply('late', () => 'late')
        child.addHook('onSend', async (_request, reply, payload) => `${payload} ${reply.getDecorator<() => string>('late')()}`)
        child.get('/gone', (_request, reply) => { reply.callNotFound() })
      })
    },
    ask: ['/gone', '/nowhere']
  },
  'requests: a null that hooks of the app and of the program fill': {
    app: app => {
      app.decorateRequest('user', null as never)
      app.addHook('onRequest', async request => request.setDecorator('user', { from: 'the app' }))
    },
    program: scope => {
      scope.addHook('preHandler', async request => { request.getDecorator<{ seen?: boolean }>('user').seen = true })
      scope.get('/own', async request => request.getDecorator('user'))
    },
    ask: ['/own']
  },
  'what is decorated for the second time, with what it lacks, or wrongly': {
    app: app => {
      app.decorate('taken', 1 as never)
      app.decorateRequest('taken', 1)
      app.decorateReply('taken', 1)
    },
    program: (scope, note) => {
      attempt(note, () => scope.decorate('taken', 2 as never))
      attempt(note, () => scope.decorateRequest('taken', 2))
      attempt(note, () => scope.decorateReply('taken', 2))
      attempt(note, () => scope.decorate('late', 2 as never, ['nothing']))
      attempt(note, () => scope.decorate('late', 2 as never, ['taken']))
      attempt(note, () => scope.decorateRequest('list', [] as never))
      attempt(note, () => scope.getDecorator('nothing'))
      scope.get('/late', async request => {
        attempt(note, () => scope.decorate('later', 1 as never))
        attempt(note, () => request.getDecorator('nothing'))
        attempt(note, () => request.setDecorator('nothing', 1))
        return { ok: true }
      })
    },
    ask: ['/late']
  },
  'an instance decorator that the program lacks': {
    program: scope => { scope.decorate('own', 1 as never, ['nothing']) },
    fails: 'FST_ERR_DEC_MISSING_DEPENDENCY'
  }
}

const plugins: Record<string, Contract> = {
  'the metadata of plugins: dependencies that the app, the program and a child have': {
    app: app => {
      app.register(fp(async app => { app.decorate('ofApp', 1 as never) }, { name: 'of-app' }))
    },
    program: async (scope, note) => {
      await scope.register(fp(async () => {}, { name: 'of-program', dependencies: ['of-app'], decorators: { fastify: ['ofApp'] } }))
      note([scope.hasPlugin('of-app'), scope.hasPlugin('of-program'), scope.hasPlugin('nothing')])
      await scope.register(async child => {
        await child.register(fp(async () => {}, { name: 'of-child', dependencies: ['of-app', 'of-program'] }))
        note([child.hasPlugin('of-app'), child.hasPlugin('of-program'), child.hasPlugin('of-child')])
      })
      note(scope.hasPlugin('of-child'))
    }
  },
  'a plugin that depends on what nobody has': {
    program: async scope => { await scope.register(fp(async () => {}, { name: 'wants', dependencies: ['nothing'] })) },
    fails: 'FST_ERR_PLUGIN_DEPENDENCY_NOT_REGISTERED'
  },
  'a plugin for decorators that nobody has': {
    program: async scope => { await scope.register(fp(async () => {}, { name: 'wants', decorators: { request: ['nothing'] } })) },
    fails: 'FST_ERR_PLUGIN_NOT_PRESENT_IN_INSTANCE'
  },
  'a plugin for another Fastify': {
    program: async scope => { await scope.register(fp(async () => {}, { name: 'old', fastify: '3.x' })) },
    fails: 'FST_ERR_PLUGIN_VERSION_MISMATCH'
  },
  'names, prefixes and options of plugins': {
    program: async (scope, note) => {
      note([scope.prefix, scope.version.split('.')[0]])
      async function named (child: FastifyInstance, options: object): Promise<void> {
        note([child.pluginName, child.prefix, options])
      }
      await scope.register(named, { prefix: '/a', setting: 1 } as object)
      await scope.register(named, parent => ({ setting: parent === scope } as object))
      await scope.register(fp(named, { name: 'known', encapsulate: true }), { prefix: '/b' })
      await scope.register(fp(async child => note([child === scope, child.prefix]), { name: 'open' }))
      await scope.register(async child => {
        await child.register(named, { prefix: '/d' })
      }, { prefix: '/c' })
    }
  },
  'callbacks, after() and ready()': {
    program: async (scope, note) => {
      scope.register((_child, _options, done) => {
        note('plugin')
        setImmediate(done)
      })
      scope.after(() => note('after'))
      scope.register(async () => { throw new Error('of a plugin') })
      scope.after(error => note(error?.message))
      scope.ready(() => note('ready'))
      await scope.after()
      note('awaited')
    }
  },
  'a plugin that throws': {
    program: async scope => { await scope.register(async () => { throw Object.assign(new Error('of a plugin'), { code: 'OF_A_PLUGIN' }) }) },
    fails: 'OF_A_PLUGIN'
  },
  'what an instance tells of itself': {
    options: { bodyLimit: 1234, caseSensitive: false } as object,
    program: (scope, note) => {
      note([scope.initialConfig, scope.prefix, scope.supportedMethods.length, scope.getSchemas(), scope.addresses()])
      scope.get('/own', async function ({ server }) { return [server === scope, this === scope] })
    },
    ask: ['/own']
  },
  'printRoutes()': {
    program: async (scope, note) => {
      scope.get('/own', async () => ({ ok: true }))
      await scope.register(async child => {
        child.post('/items/:id', { constraints: { version: '1.0.0' } }, async () => ({ ok: true }))
      }, { prefix: '/child' })
      scope.ready(() => {
        note(scope.printRoutes())
        note(scope.printRoutes({ commonPrefix: false }))
        note(scope.printRoutes({ method: 'POST', includeMeta: true, includeHooks: true }))
      })
    }
  },
  'hasRoute() and findRoute()': {
    program: (scope, note) => {
      scope.get('/own/:id', async () => ({ ok: true }))
      scope.get('/own', { constraints: { version: '1.0.0' } }, async () => ({ ok: true }))
      note([
        scope.hasRoute({ url: '/own/:id', method: 'GET' }),
        scope.hasRoute({ url: '/own/:other', method: 'GET' }),
        scope.hasRoute({ url: '/own', method: 'GET' }),
        scope.hasRoute({ url: '/own', method: 'GET', constraints: { version: '1.0.0' } }),
        scope.findRoute({ url: '/own/:id', method: 'GET' })?.params,
        scope.findRoute({ url: '/nowhere', method: 'GET' })
      ])
    }
  }
}

t.test('decorators', async t => hold(t, decorators))
t.test('plugins', async t => hold(t, plugins))
