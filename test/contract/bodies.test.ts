import { Type, TypeBoxValidatorCompiler } from '@fastify/type-provider-typebox'
import t from 'tap'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance, FastifySchemaCompiler } from 'fastify'
import { attempt, hold } from '../fixtures/contract/contract.ts'
import type { Asked, Contract } from '../fixtures/contract/contract.ts'

const ITEM = { $id: 'item', type: 'object', required: ['id'], properties: { id: { type: 'integer' }, name: { type: 'string', default: 'none' } }, additionalProperties: false }
const BY_REFERENCE = { body: { $ref: 'item#' }, response: { 200: { $ref: 'item#' } } }

function post (url: string, body: unknown, status = 200, type = 'application/json'): Asked {
  return { url, method: 'POST', headers: { 'content-type': type }, body: typeof body === 'string' ? body : JSON.stringify(body), status }
}

function echo (app: FastifyInstance, url = '/own', schema = {}): void {
  app.post(url, { schema }, async ({ body }) => body)
}

/** A validator compiler that refuses everything, and names its owner. */
function refusing (of: string): FastifySchemaCompiler<unknown> {
  return ({ httpPart }) => () => ({ error: new Error(`${httpPart} refused by ${of}`) })
}

const answering = (of: string) => () => (data: unknown) => JSON.stringify({ by: of, data })

const schemas: Record<string, Contract> = {
  'of the app and of the program, and what each knows': {
    app: app => {
      app.addSchema(ITEM)
      app.get('/shared', async () => Object.keys(app.getSchemas()))
    },
    program: async (scope, note) => {
      scope.addSchema({ $id: 'own', type: 'object', properties: { item: { $ref: 'item#' } } })
      note([Object.keys(scope.getSchemas()), scope.getSchema('item'), scope.getSchema('nothing') === undefined])
      attempt(note, () => scope.addSchema(ITEM))
      await scope.register(async child => {
        child.addSchema({ $id: 'deep', type: 'string' })
        note(Object.keys(child.getSchemas()))
      })
      note(Object.keys(scope.getSchemas()))
      echo(scope, '/own', { body: { $ref: 'own#' } })
    },
    ask: ['/shared', post('/own', { item: { id: '1', more: 1 } }), post('/own', { item: {} }, 400)]
  },
  'validate and serialize': {
    app: app => { app.addSchema(ITEM) },
    program: scope => {
      echo(scope, '/own', BY_REFERENCE)
      scope.get('/own/:id', {
        schema: {
          params: { type: 'object', properties: { id: { type: 'integer' } } },
          querystring: { type: 'object', properties: { list: { type: 'array', items: { type: 'integer' } } } },
          headers: { type: 'object', properties: { 'x-count': { type: 'integer' } } }
        }
      }, async ({ params, query, headers }) => [params, query, headers['x-count']])
      scope.get('/wrong', { schema: { response: { 200: { $ref: 'item#' } } } }, async () => ({ name: 'no id' }))
    },
    ask: [
      post('/own', { id: '1', more: 1 }), post('/own', { name: 'no id' }, 400), { url: '/own/1?list=2&list=3', headers: { 'x-count': '4' } },
      { url: '/own/one', status: 400 }, { url: '/wrong', status: 500 }
    ]
  },
  'a reference to nothing': {
    program: scope => echo(scope, '/own', { body: { $ref: 'nothing#' } }),
    fails: 'FST_ERR_SCH_VALIDATION_BUILD'
  },
  'options of Ajv and of the serializer': {
    options: { ajv: { customOptions: { coerceTypes: false, removeAdditional: false, allErrors: true } }, serializerOpts: { rounding: 'ceil' } },
    program: scope => {
      echo(scope, '/own', { body: ITEM })
      scope.get('/rounded', { schema: { response: { 200: { type: 'integer' } } } }, async () => 1.2)
    },
    ask: [post('/own', { id: '1', more: 1 }, 400), post('/own', { id: 1 }), '/rounded']
  },
  attachValidation: {
    program: scope => {
      scope.post('/own', { schema: { body: ITEM }, attachValidation: true }, async ({ validationError }) => ({ message: validationError?.message, context: validationError?.validationContext }))
    },
    ask: [post('/own', {})]
  },
  'request.validateInput() and reply.serializeInput()': {
    program: scope => {
      scope.post('/own', { schema: { body: ITEM, response: { 201: ITEM } } }, async (request, reply) => ({
        validated: [request.validateInput({ id: 'x' }, 'body'), request.validateInput('x', { type: 'string' }), request.getValidationFunction('body')?.({ id: 1 })],
        serialized: [reply.serializeInput({ id: 1, more: 2 }, '201'), reply.getSerializationFunction('404') === undefined]
      }))
      scope.get('/other', async request => request.compileValidationSchema({ type: 'number' })('x'))
    },
    ask: [post('/own', { id: 1 }), '/other']
  }
}

schemas['a type provider'] = {
  program: (scope, note) => {
    const typed = scope.setValidatorCompiler(TypeBoxValidatorCompiler).withTypeProvider<TypeBoxTypeProvider>()
    note(typed === scope)
    typed.post('/own', { schema: { body: Type.Object({ id: Type.Integer() }) } }, async ({ body }) => ({ next: body.id + 1 }))
  },
  ask: [post('/own', { id: 1 }), post('/own', { id: 'x' }, 400)]
}

for (const of of ['app', 'program', 'child', 'route'] as const) {
  schemas[`a validator compiler of the ${of}`] = {
    app: app => { if (of === 'app') app.setValidatorCompiler(refusing(of)) },
    program: async scope => {
      if (of === 'program') scope.setValidatorCompiler(refusing(of))
      scope.post('/own', { schema: { body: ITEM }, ...(of === 'route' && { validatorCompiler: refusing(of) }) }, async ({ body }) => body)
      await scope.register(async child => {
        if (of === 'child') child.setValidatorCompiler(refusing(of))
        echo(child, '/child', { body: ITEM })
      })
    },
    ask: [post('/own', { id: 1 }, of === 'child' ? 200 : 400), post('/child', { id: 1 }, of === 'route' ? 200 : 400)]
  }
  schemas[`a serializer compiler of the ${of}`] = {
    app: app => { if (of === 'app') app.setSerializerCompiler(answering(of)) },
    program: async scope => {
      if (of === 'program') scope.setSerializerCompiler(answering(of))
      scope.post('/own', { schema: { response: { 200: ITEM } }, ...(of === 'route' && { serializerCompiler: answering(of) }) }, async ({ body }) => body)
      await scope.register(async child => {
        if (of === 'child') child.setSerializerCompiler(answering(of))
        echo(child, '/child', { response: { 200: ITEM } })
      })
    },
    ask: [post('/own', { id: 1 }), post('/child', { id: 1 })]
  }
  schemas[`a reply serializer of the ${of}`] = {
    app: app => { if (of === 'app') app.setReplySerializer(answering(of)()) },
    program: async scope => {
      if (of === 'program') scope.setReplySerializer(answering(of)())
      scope.post('/own', async ({ body }, reply) => of === 'route' ? reply.serializer(answering(of)()).send(body) : body)
      await scope.register(async child => {
        if (of === 'child') child.setReplySerializer(answering(of)())
        echo(child, '/child')
      })
    },
    ask: [post('/own', { id: 1 }), post('/child', { id: 1 })]
  }
  if (of === 'route') continue
  schemas[`a schema error formatter of the ${of}`] = {
    app: app => { if (of === 'app') app.setSchemaErrorFormatter((errors, part) => new Error(`${errors.length} in ${part} of the ${of}`)) },
    program: async scope => {
      if (of === 'program') scope.setSchemaErrorFormatter((errors, part) => new Error(`${errors.length} in ${part} of the ${of}`))
      echo(scope, '/own', { body: ITEM })
      await scope.register(async child => {
        if (of === 'child') child.setSchemaErrorFormatter((errors, part) => new Error(`${errors.length} in ${part} of the ${of}`))
        echo(child, '/child', { body: ITEM })
      })
    },
    ask: [post('/own', {}, 400), post('/child', {}, 400)]
  }
  schemas[`a schema controller of the ${of}`] = {
    app: app => { if (of === 'app') app.setSchemaController(controllerOf(of)) },
    program: async scope => {
      if (of === 'program') scope.setSchemaController(controllerOf(of))
      scope.addSchema(ITEM)
      echo(scope, '/own', { body: { $ref: 'item#' }, response: { 200: { $ref: 'item#' } } })
      await scope.register(async child => {
        if (of === 'child') child.setSchemaController(controllerOf(of))
        echo(child, '/child', { body: ITEM, response: { 200: ITEM } })
      })
    },
    ask: [post('/own', { id: 1 }), post('/child', { id: 1 })]
  }
}

/** A controller that validates nothing, and marks what it serializes. */
function controllerOf (of: string): Parameters<FastifyInstance['setSchemaController']>[0] {
  return { compilersFactory: { buildValidator: () => (() => () => true) as never, buildSerializer: () => answering(of) as never } }
}

const parsers: Record<string, Contract> = {
  'a parser of the app, one of the program, and a type that nobody knows': {
    app: app => {
      app.addContentTypeParser('text/app', { parseAs: 'string' }, async (_request: unknown, body: string) => ({ app: body }))
      echo(app, '/shared')
    },
    program: (scope, note) => {
      scope.addContentTypeParser(['text/own', 'text/too'], { parseAs: 'buffer' }, (_request, body, done) => done(null, { own: body.toString('hex') }))
      note(['text/app', 'text/own', 'text/none', 'application/json'].map(type => scope.hasContentTypeParser(type)))
      echo(scope)
    },
    ask: [
      post('/own', 'a', 200, 'text/app'), post('/own', 'a', 200, 'text/own; charset=utf-8'), post('/own', 'a', 200, 'text/too'),
      post('/own', 'a', 415, 'text/none'), post('/shared', 'a', 415, 'text/own'), post('/own', 'a', 415, 'nonsense')
    ]
  },
  'types by regular expression, the last one that was added first, and all others': {
    app: app => { app.addContentTypeParser(/^text\//, { parseAs: 'string' }, async (_request: unknown, body: string) => ({ app: body })) },
    program: async scope => {
      scope.addContentTypeParser(/^text\/x/, { parseAs: 'string' }, async (_request: unknown, body: string) => ({ x: body }))
      echo(scope)
      await scope.register(async child => {
        child.addContentTypeParser('*', async (_request: unknown, payload: AsyncIterable<Buffer>) => {
          const parts: Buffer[] = []
          for await (const part of payload) parts.push(part)
          return { all: String(Buffer.concat(parts)) }
        })
        echo(child, '/child')
      })
    },
    ask: [post('/own', 'a', 200, 'text/plain'), post('/own', 'a', 200, 'text/xml'), post('/own', 'a', 415, 'image/png'), post('/child', 'a', 200, 'image/png'), post('/child', 'a', 200, 'text/plain')]
  },
  'a parser for the second time': {
    app: app => { app.addContentTypeParser('text/app', async () => ({})) },
    program: scope => { scope.addContentTypeParser('text/app', async () => ({})) },
    fails: 'FST_ERR_CTP_ALREADY_PRESENT'
  },
  'parsers that are removed': {
    app: app => { echo(app, '/shared') },
    program: async scope => {
      scope.removeContentTypeParser('application/json')
      echo(scope)
      await scope.register(async child => {
        child.removeAllContentTypeParsers()
        echo(child, '/child')
      })
    },
    ask: [post('/own', { a: 1 }, 415), post('/own', 'a', 200, 'text/plain'), post('/child', 'a', 415, 'text/plain'), post('/shared', { a: 1 })]
  },
  'JSON of the program\'s own, and the default parser': {
    program: async scope => {
      scope.addContentTypeParser('application/json', { parseAs: 'string' }, scope.getDefaultJsonParser('ignore', 'ignore'))
      echo(scope)
    },
    ask: [post('/own', '{"__proto__":{"a":1},"b":2}'), post('/own', '{', 400), post('/own', '', 400)]
  },
  'prototype poisoning, as the app says': {
    options: { onProtoPoisoning: 'remove', onConstructorPoisoning: 'error' },
    program: scope => echo(scope),
    ask: [post('/own', '{"__proto__":{"a":1},"b":2}'), post('/own', '{"constructor":{"prototype":{"a":1}}}', 400)]
  },
  'what is no JSON, nothing, or not as long as it says': {
    program: scope => echo(scope),
    ask: [post('/own', '{', 400), post('/own', '', 400), { url: '/own', method: 'POST', body: 'x', status: 415 }, { url: '/own', method: 'POST' }]
  },
  'a parser that throws': {
    program: scope => {
      scope.addContentTypeParser('text/own', async () => { throw Object.assign(new Error('cannot read'), { statusCode: 422 }) })
      echo(scope)
    },
    ask: [post('/own', 'a', 422, 'text/own')]
  }
}

const limits: Record<string, Contract> = {}
for (const [of, limit] of [['app', 10], ['parser', 5], ['route', 3]] as const) {
  limits[`bodyLimit of the ${of}`] = {
    options: { ...(of === 'app' && { bodyLimit: limit }) },
    program: scope => {
      if (of === 'parser') scope.addContentTypeParser('text/own', { parseAs: 'string', bodyLimit: limit }, async (_request: unknown, body: string) => body)
      scope.post('/own', { ...(of === 'route' && { bodyLimit: limit }) }, async ({ body }) => ({ body }))
    },
    ask: [post('/own', 'x'.repeat(limit), 200, of === 'parser' ? 'text/own' : 'text/plain'), post('/own', 'x'.repeat(limit + 1), 413, of === 'parser' ? 'text/own' : 'text/plain')]
  }
}

t.test('schemas', async t => hold(t, schemas))
t.test('content type parsers', async t => hold(t, parsers))
t.test('body limits', async t => hold(t, limits))
