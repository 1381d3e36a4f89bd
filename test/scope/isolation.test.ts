import fp from 'fastify-plugin'
import t from 'tap'
import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import { guarded, unguarded } from '../fixtures/pair.ts'
import type { Build, Pair } from '../fixtures/pair.ts'

interface Case {
  build: Build
  /** Lists where a tenant, or the app, sees something of another. */
  leaks: (pair: Pair) => Promise<string[]>
}

/** Two tenants that do the same in different ways. With the guard off each case must find a leak, or fail to boot. */
const cases: Record<string, Case> = {
  'the same decorator of the instance': {
    build: id => async scope => {
      scope.decorate('own', id)
      scope.get('/own', async () => scope.getDecorator('own'))
    },
    leaks: async ({ app, send }) => [
      ...await differs(send('acme', '/own'), 'acme'),
      ...await differs(send('globex', '/own'), 'globex'),
      ...app.hasDecorator('own') ? ['the app has it'] : []
    ]
  },
  'the same decorators of request and reply': {
    build: id => async scope => {
      scope.decorateRequest('mark', id)
      scope.decorateReply('sign', () => id)
      scope.get('/marks', async (request, reply) => `${request.getDecorator('mark')} ${reply.getDecorator<() => string>('sign')()}`)
    },
    leaks: async ({ app, send }) => [
      ...await differs(send('acme', '/marks'), 'acme acme'),
      ...await differs(send('globex', '/marks'), 'globex globex'),
      ...app.hasRequestDecorator('mark') || app.hasReplyDecorator('sign') ? ['the app has them'] : []
    ]
  },
  'a decorator that only one tenant has': {
    build: id => async scope => {
      if (id === 'acme') scope.decorate('secret', 'of acme')
      scope.get('/secret', async () => String(scope.hasDecorator('secret')))
    },
    leaks: async ({ app, send }) => [
      ...await differs(send('globex', '/secret'), 'false'),
      ...app.hasDecorator('secret') ? ['the app has it'] : []
    ]
  },
  hooks: {
    build: id => async scope => {
      scope.addHook('onRequest', async (_request, reply) => { reply.header(`x-${id}`, 'ran') })
      scope.addHook('onSend', async (_request, reply) => { reply.header(`x-${id}-sent`, 'ran') })
      scope.get('/hooks', async () => id)
    },
    leaks: async ({ send }) => {
      const [acme, globex, app] = [await send('acme', '/hooks'), await send('globex', '/hooks'), await send(null, '/app')]
      return [
        ...'x-globex' in acme.headers || 'x-globex-sent' in acme.headers ? ['in acme'] : [],
        ...'x-acme' in globex.headers || 'x-acme-sent' in globex.headers ? ['in globex'] : [],
        ...'x-acme' in app.headers || 'x-globex' in app.headers ? ['in the app'] : []
      ]
    }
  },
  'schemas with the same $id': {
    build: id => async scope => {
      scope.addSchema({ $id: 'thing', type: 'object', properties: { [id]: { type: 'number' } }, required: [id] })
      scope.post('/things', { schema: { body: { $ref: 'thing#' } } }, async () => id)
      scope.get('/schema', async () => Object.keys((scope.getSchema('thing') as { properties: object }).properties))
    },
    leaks: async ({ app, send }) => [
      ...await differs(send('acme', '/things', { method: 'POST', payload: { acme: 1 } }), 'acme'),
      ...await differs(send('globex', '/things', { method: 'POST', payload: { globex: 1 } }), 'globex'),
      ...(await send('globex', '/things', { method: 'POST', payload: { acme: 1 } })).statusCode === 400 ? [] : ["globex takes acme's"],
      ...await differs(send('acme', '/schema'), '["acme"]'),
      ...app.getSchema('thing') === undefined ? [] : ['the app has it']
    ]
  },
  'inline schemas that look the same to a shared compiler': {
    build: id => async scope => {
      scope.addSchema({ $id: 'limit', type: 'integer', maximum: id === 'acme' ? 10 : 1000 })
      scope.get('/limit', { schema: { querystring: { type: 'object', properties: { n: { $ref: 'limit#' } } } } }, async () => id)
    },
    leaks: async ({ send }) => [
      ...(await send('acme', '/limit?n=100')).statusCode === 400 ? [] : ["acme has globex's limit"],
      ...(await send('globex', '/limit?n=100')).statusCode === 200 ? [] : ["globex has acme's limit"]
    ]
  },
  'the same plugin made with fastify-plugin': {
    build: id => async scope => {
      await scope.register(shared, { id })
      scope.get('/shared', async () => scope.getDecorator('shared'))
    },
    leaks: async ({ app, send }) => [
      ...await differs(send('acme', '/shared'), 'acme'),
      ...await differs(send('globex', '/shared'), 'globex'),
      ...app.hasPlugin('shared') || app.hasDecorator('shared') ? ['the app has it'] : []
    ]
  },
  'error handlers': {
    build: id => async scope => {
      scope.setErrorHandler(async (_error, _request, reply) => reply.code(500).send(`${id} is sorry`))
      scope.get('/error', async () => { throw new Error('oh') })
    },
    leaks: async ({ send }) => {
      return [
        ...await differs(send('acme', '/error'), 'acme is sorry'),
        ...await differs(send('globex', '/error'), 'globex is sorry'),
        ...(await send(null, '/app-error')).body.includes('is sorry') ? ['in the app'] : []
      ]
    }
  },
  '404 handlers': {
    build: id => async scope => {
      scope.setNotFoundHandler(async (_request, reply) => reply.code(404).send(`${id} has no such thing`))
      scope.get('/there', async () => id)
    },
    leaks: async ({ send }) => [
      ...await differs(send('acme', '/nowhere'), 'acme has no such thing'),
      ...await differs(send('globex', '/nowhere'), 'globex has no such thing'),
      ...(await send(null, '/nowhere')).body.includes('has no such thing') ? ['in the app'] : []
    ]
  },
  'content type parsers': {
    build: id => async scope => {
      scope.addContentTypeParser('text/own', { parseAs: 'string' }, async (_request: unknown, body: string) => `${id} read ${body}`)
      scope.post('/parse', async request => request.body)
    },
    leaks: async ({ app, send }) => {
      const own = { method: 'POST', payload: 'it', headers: { 'content-type': 'text/own' } } as const
      return [
        ...await differs(send('acme', '/parse', own), 'acme read it'),
        ...await differs(send('globex', '/parse', own), 'globex read it'),
        ...app.hasContentTypeParser('text/own') ? ['the app has it'] : []
      ]
    }
  },
  'the reply serializer': {
    build: id => async scope => {
      scope.setReplySerializer(payload => `${id}:${JSON.stringify(payload)}`)
      scope.get('/serialized', async () => ({ a: 1 }))
    },
    leaks: async ({ send }) => [
      ...await differs(send('acme', '/serialized'), 'acme:{"a":1}'),
      ...await differs(send('globex', '/serialized'), 'globex:{"a":1}'),
      ...await differs(send(null, '/app-json'), '{"a":1}')
    ]
  },
  'added HTTP methods': {
    build: id => async scope => {
      if (id === 'acme') scope.addHttpMethod('PURGE')
      scope.get('/methods', async () => String(scope.supportedMethods.includes('PURGE')))
    },
    leaks: async ({ app, send }) => [
      ...await differs(send('globex', '/methods'), 'false'),
      ...app.supportedMethods.includes('PURGE') ? ['the app has it'] : []
    ]
  }
}

const markShared: FastifyPluginAsync<{ id: string }> = async (scope, { id }) => { scope.decorate('shared', id) }
const shared = fp(markShared, { name: 'shared' })

async function differs (sent: ReturnType<Pair['send']>, expected: string): Promise<string[]> {
  const { body } = await sent
  return body === expected ? [] : [`${body} instead of ${expected}`]
}

function appRoutes (app: FastifyInstance): void {
  app.get('/app-json', async () => ({ a: 1 }))
  app.get('/app-error', async () => { throw new Error('oh') })
}

for (const [name, { build, leaks }] of Object.entries(cases)) {
  t.test(`no tenant sees another's, and the app sees none: ${name}`, async t => {
    const pair = await guarded(build, appRoutes)
    t.teardown(() => pair.app.close())
    t.same(await leaks(pair), [])
  })

  t.test(`negative control: without a scope that is seen: ${name}`, async t => {
    let found: unknown
    try {
      const pair = await unguarded(build, appRoutes)
      t.teardown(() => pair.app.close())
      found = await leaks(pair)
    } catch (error) {
      found = [(error as Error).message]
    }
    t.not((found as string[]).length, 0, 'the test finds the leak, or the second tenant cannot even be built')
    t.comment(found)
  })
}
