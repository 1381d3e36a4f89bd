import Fastify, { LogController } from 'fastify'
import pino from 'pino'
import t from 'tap'
import type { FastifyInstance, FastifyPluginAsync, FastifyServerOptions } from 'fastify'
import multitenant from '../../index.ts'
import type { MultitenantOptions } from '../../index.ts'
import { as, listen, tenants } from '../fixtures/http/app.ts'
import type { Teardown } from '../fixtures/http/app.ts'
import { exchange } from '../fixtures/http/exchange.ts'
import type { Question } from '../fixtures/http/exchange.ts'

interface Line {
  level: number
  msg: string
  reqId?: string
  tenantId?: string
  req?: { url: string }
  res?: { statusCode: number }
  [key: string]: unknown
}

interface Logged {
  app: FastifyInstance
  lines: Line[]
  /** Sends one request over a socket, and returns the lines that it logged. */
  send (question: Question): Promise<Line[]>
}

const INFO = 30

const plugins: Record<string, FastifyPluginAsync> = {
  acme: async scope => {
    scope.get('/own', async request => {
      request.log.info('in the handler')
      return {}
    })
    scope.get('/quiet', { logLevel: 'error' }, async request => {
      request.log.info('not to be seen')
      return {}
    })
    scope.get('/loud', { logLevel: 'debug' }, async request => {
      request.log.debug('in detail')
      return {}
    })
    scope.get('/fails', async () => { throw new Error('failed') })
    scope.get('/missing', (_request, reply) => { reply.callNotFound() })
  },
  globex: async scope => {
    scope.setNotFoundHandler(async (_request, reply) => {
      reply.code(404)
      return 'globex 404'
    })
    scope.get('/missing', (_request, reply) => { reply.callNotFound() })
  },
  broken: async () => { throw new Error('broken on purpose') }
}

/** An app that logs into a list, and listens. */
async function logged (t: Teardown, options: MultitenantOptions = {}, server: FastifyServerOptions = {}): Promise<Logged> {
  const lines: Line[] = []
  const stream = { write: (line: string) => { lines.push(JSON.parse(line)) } }
  const app = Fastify({ loggerInstance: pino({}, stream), ...server }) as unknown as FastifyInstance
  t.teardown(() => app.close())
  app.register(multitenant, { tenants: tenants(plugins), ...options })
  app.get('/shared', async request => {
    request.log.info('in the handler')
    return {}
  })
  await listen(app)
  const send = async (question: Question): Promise<Line[]> => {
    lines.length = 0
    await exchange(app, question)
    return lines.filter(({ reqId }) => reqId !== undefined)
  }
  return { app, lines, send }
}

function messages (lines: readonly Line[]): string[] {
  return lines.map(({ msg }) => msg)
}

t.test('a request logs one "incoming request" and one "request completed"', async t => {
  interface Case { what: string, options?: MultitenantOptions, question: Question, status: number, tenantId?: string, refusedId?: string, between?: string[], routedUrl?: string }

  const cases: Case[] = [
    { what: "a tenant's route", question: { url: '/own', tenant: 'acme' }, status: 200, tenantId: 'acme', between: ['in the handler'] },
    { what: 'a shared route', question: { url: '/shared', tenant: 'acme' }, status: 200, tenantId: 'acme', between: ['in the handler'] },
    { what: 'a shared route without a tenant', question: { url: '/shared' }, status: 200, between: ['in the handler'] },
    { what: "a tenant's route that fails", question: { url: '/fails', tenant: 'acme' }, status: 500, tenantId: 'acme', between: ['failed'] },
    { what: 'a route that nobody has', question: { url: '/nowhere', tenant: 'acme' }, status: 404, tenantId: 'acme', between: ['Route GET:/nowhere not found'] },
    { what: "a tenant's 404 handler", question: { url: '/nowhere', tenant: 'globex' }, status: 404, tenantId: 'globex' },
    { what: "reply.callNotFound() to the app's", question: { url: '/missing', tenant: 'acme' }, status: 404, tenantId: 'acme', between: ['Route GET:/missing not found'] },
    { what: "reply.callNotFound() to the tenant's", question: { url: '/missing', tenant: 'globex' }, status: 404, tenantId: 'globex' },
    { what: 'an unknown tenant', question: { url: '/shared', tenant: 'initech' }, status: 404, refusedId: 'initech', between: ["Tenant 'initech' not found"] },
    { what: 'an id that is none', question: { url: '/shared', tenant: '../etc' }, status: 400, between: ['The tenant id is not valid'] },
    { what: 'a tenant that does not load', question: { url: '/shared', tenant: 'broken' }, status: 503, refusedId: 'broken', between: ["Tenant 'broken' could not be loaded"] },
    { what: 'no tenant where one is required', options: { required: true }, question: { url: '/shared' }, status: 400, between: ['This request needs a tenant'] },
    { what: "the path strategy, in a tenant's route", options: { identify: 'path' }, question: { url: '/acme/own' }, routedUrl: '/own', status: 200, tenantId: 'acme', between: ['in the handler'] },
    { what: 'the path strategy, in a shared route', options: { identify: 'path' }, question: { url: '/acme/shared' }, routedUrl: '/shared', status: 200, tenantId: 'acme', between: ['in the handler'] },
    { what: 'the path strategy, in no route', options: { identify: 'path' }, question: { url: '/globex/nowhere' }, routedUrl: '/nowhere', status: 404, tenantId: 'globex' },
    { what: "order: 'registered', in a tenant's route", options: { order: 'registered' }, question: { url: '/own', tenant: 'acme' }, status: 200, tenantId: 'acme', between: ['in the handler'] },
    { what: "order: 'registered', in a shared route", options: { order: 'registered' }, question: { url: '/shared', tenant: 'acme' }, status: 200, tenantId: 'acme', between: ['in the handler'] }
  ]

  for (const { what, options, question, routedUrl, status, tenantId, refusedId, between = [] } of cases) {
    for (const temperature of ['cold', 'warm']) {
      t.test(`${what}, ${temperature}`, async t => {
        const { app, send } = await logged(t, options)
        if (temperature === 'warm' && tenantId !== undefined) await app.multitenant.init(tenantId)

        const lines = await send(question)
        t.strictSame(messages(lines), ['incoming request', ...between, 'request completed'])
        t.equal(new Set(lines.map(({ reqId }) => reqId)).size, 1, 'all with the same reqId')
        t.match(lines[0], { level: INFO, req: { url: routedUrl ?? question.url, method: 'GET' } })
        const last = lines.at(-1)
        t.match(last, { level: INFO, res: { statusCode: status } })
        t.strictSame([...new Set(lines.slice(1).map(({ tenantId }) => tenantId))], [tenantId ?? refusedId], 'the tenant is named once it is known')
      })
    }
  }

  t.test('each request has its own id', async t => {
    const { send } = await logged(t)
    const first = await send({ url: '/own', tenant: 'acme' })
    const second = await send({ url: '/own', tenant: 'acme' })
    t.strictSame([first[0]?.reqId, second[0]?.reqId], ['req-1', 'req-2'])
  })

  t.test('a line names the tenant once', async t => {
    const raw: string[] = []
    const app = Fastify({ logger: { stream: { write: (line: string) => { raw.push(line) } } } })
    t.teardown(() => app.close())
    app.register(multitenant, { tenants: tenants(plugins) })
    app.get('/shared', async () => ({}))
    await listen(app)
    for (const url of ['/own', '/shared', '/nowhere']) {
      await exchange(app, { url, tenant: 'acme' })
      const completed = raw.filter(line => line.includes('request completed')).at(-1)
      t.equal(completed?.split('"tenantId"').length, 2, url)
    }
  })

  t.test('a request injected into a tenant logs both lines too', async t => {
    const { app, lines } = await logged(t)
    const tenant = await app.multitenant.init('acme')
    lines.length = 0
    await tenant.app.inject('/own')
    t.strictSame(messages(lines), ['incoming request', 'in the handler', 'request completed'])
    t.strictSame(lines.map(({ tenantId }) => tenantId), ['acme', 'acme', 'acme'])
    t.equal(new Set(lines.map(({ reqId }) => reqId)).size, 1)
  })

  t.test("lines of a tenant's own app.log name the tenant", async t => {
    const { app, lines } = await logged(t)
    const tenant = await app.multitenant.init('acme')
    lines.length = 0
    tenant.app.log.info('hello')
    t.match(lines, [{ msg: 'hello', tenantId: 'acme' }])
  })

  t.test("a child of a tenant's app.log changes neither that log nor its other children", async t => {
    const { app, lines } = await logged(t)
    const { log } = (await app.multitenant.init('acme')).app
    const child = log.child({ module: 'mail' })
    child.level = 'error'
    log.child({ module: 'jobs' }).info('from a child')
    log.info('from acme')
    t.match(lines.slice(-2), [{ msg: 'from a child', tenantId: 'acme', module: 'jobs' }, { msg: 'from acme', tenantId: 'acme', module: undefined }])
    t.strictSame([child.level, log.level], ['error', 'info'])
  })

  t.test('a tenant that does not load is logged with its cause', async t => {
    const { lines, send } = await logged(t)
    await send({ url: '/shared', tenant: 'broken' })
    t.match(lines.find(({ err }) => (err as { message?: string } | undefined)?.message === 'broken on purpose'), { tenantId: 'broken', level: 50 })
  })
})

t.test("the log settings are the app's", async t => {
  t.test('logLevel of a route', async t => {
    const { send } = await logged(t)
    t.strictSame(messages(await send({ url: '/quiet', tenant: 'acme' })), [], 'not even the line of what comes in')
    t.strictSame(messages(await send({ url: '/loud', tenant: 'acme' })), ['incoming request', 'in detail', 'request completed'])
  })

  t.test('disableRequestLogging', async t => {
    const { send } = await logged(t, {}, { logController: new LogController({ disableRequestLogging: true }) })
    t.strictSame(messages(await send({ url: '/own', tenant: 'acme' })), ['in the handler'])
    t.strictSame(messages(await send({ url: '/nowhere', tenant: 'acme' })), [])
  })

  t.test('disableRequestLogging as a function', async t => {
    const { send } = await logged(t, {}, { logController: new LogController({ disableRequestLogging: request => request.url === '/own' }) })
    t.strictSame(messages(await send({ url: '/own', tenant: 'acme' })), ['in the handler'])
    t.strictSame(messages(await send({ url: '/shared', tenant: 'acme' })), ['incoming request', 'in the handler', 'request completed'])
  })

  t.test('requestIdLogLabel', async t => {
    const { app, lines } = await logged(t, {}, { logController: new LogController({ requestIdLogLabel: 'trace' }) })
    lines.length = 0
    await exchange(app, { url: '/own', tenant: 'acme' })
    t.strictSame(lines.filter(({ msg }) => msg === 'request completed').map(({ trace }) => trace), ['req-1'])
    t.strictSame(lines.filter(({ trace }) => trace !== undefined).length, 3)
  })

  for (const [what, options] of [['in the app and its tenants', {}], ['and with the path strategy', { identify: 'path' }]] as const) {
    t.test(`a log controller of a class with private fields, ${what}`, async t => {
      class Counting extends LogController {
        readonly #counts: Record<string, number> = {}

        get counts (): Record<string, number> {
          return this.#counts
        }

        #count (name: string): void {
          this.#counts[name] = (this.#counts[name] ?? 0) + 1
        }

        override incomingRequest (...parameters: Parameters<LogController['incomingRequest']>): void {
          this.#count('incoming')
          super.incomingRequest(...parameters)
        }

        override requestCompleted (...parameters: Parameters<LogController['requestCompleted']>): void {
          this.#count('completed')
          super.requestCompleted(...parameters)
        }

        override routeNotFound (...parameters: Parameters<LogController['routeNotFound']>): void {
          this.#count('not found')
          super.routeNotFound(...parameters)
        }
      }
      const logController = new Counting()
      const { send } = await logged(t, options, { logController })
      const prefix = 'identify' in options ? '/acme' : ''
      for (const [n, url] of ['/own', '/shared', '/nowhere', '/missing'].entries()) {
        const lines = await send({ url: prefix + url, tenant: 'acme' })
        t.equal(lines.filter(({ msg }) => msg === 'incoming request').length, 1)
        t.equal(lines.filter(({ msg }) => msg === 'request completed').length, 1)
        t.match(logController.counts, { incoming: n + 1, completed: n + 1 }, url)
      }
      t.strictSame(logController.counts, { incoming: 4, completed: 4, 'not found': 2 })
    })
  }

  t.test('genReqId is asked once', async t => {
    let asked = 0
    const { app, lines, send } = await logged(t, {}, { genReqId: raw => `${raw.headers.host !== undefined ? 'mine' : ''}-${++asked}` })
    const first = await send({ url: '/own', tenant: 'acme' })
    t.strictSame([...new Set(first.map(({ reqId }) => reqId))], ['mine-1'])
    const second = await send({ url: '/shared', tenant: 'acme' })
    t.strictSame([...new Set(second.map(({ reqId }) => reqId))], ['mine-2'])
    t.equal(asked, 2)

    const tenant = await app.multitenant.init('acme')
    lines.length = 0
    await tenant.app.inject('/own')
    t.strictSame([...new Set(lines.map(({ reqId }) => reqId))], ['mine-3'])
  })

  t.test("the app's setGenReqId() is called once", async t => {
    const lines: Line[] = []
    const app = Fastify({ logger: { stream: { write: (line: string) => { lines.push(JSON.parse(line)) } } } })
    t.teardown(() => app.close())
    app.register(multitenant, { tenants: tenants(plugins) })
    app.setGenReqId(() => 'set')
    await listen(app)
    await exchange(app, { url: '/own', tenant: 'acme' })
    t.strictSame([...new Set(lines.filter(({ reqId }) => reqId !== undefined).map(({ reqId }) => reqId))], ['set'])
  })

  t.test('requestIdHeader', async t => {
    const { send } = await logged(t, {}, { requestIdHeader: 'x-trace' })
    for (const url of ['/own', '/shared', '/nowhere']) {
      const lines = await send({ url, tenant: 'acme', headers: { 'x-trace': 'from-outside' } })
      t.strictSame([...new Set(lines.map(({ reqId }) => reqId))], ['from-outside'], url)
    }
    const lines = await send({ url: '/own', tenant: 'acme' })
    t.match(lines[0]?.reqId, /^req-/)
  })

  t.test('childLoggerFactory', async t => {
    const { send } = await logged(t, {}, {
      childLoggerFactory: (logger, bindings, options) => logger.child({ ...bindings, factory: 'mine' }, options)
    })
    for (const url of ['/own', '/shared', '/nowhere']) {
      const lines = await send({ url, tenant: 'acme' })
      t.ok(lines.length >= 2)
      t.ok(lines.every(({ factory }) => factory === 'mine'), url)
    }
  })

  t.test('a childLoggerFactory that returns no logger for a tenant fails only that request', async t => {
    const app = Fastify({
      logger: { level: 'silent' },
      childLoggerFactory: (logger, bindings, options) => 'tenantId' in (logger as pino.Logger).bindings() ? undefined as never : logger.child(bindings, options)
    })
    t.teardown(() => app.close())
    app.register(multitenant, { tenants: tenants(plugins) })
    const url = await app.listen({ host: '127.0.0.1', port: 0 })
    await app.multitenant.init('acme')
    const response = await fetch(`${url}/own`, { headers: as('acme') })
    t.equal(response.status, 500)
    t.match(await response.json(), { statusCode: 500, error: 'Internal Server Error' })
  })

  t.test('works without a logger', async t => {
    const app = Fastify()
    t.teardown(() => app.close())
    app.register(multitenant, { tenants: tenants(plugins) })
    app.get('/shared', async request => request.log === app.log)
    await app.ready()
    const acme = await app.multitenant.init('acme')
    acme.app.log.info('nowhere')
    for (const url of ['/own', '/quiet', '/loud']) t.equal((await app.inject({ url, headers: as('acme') })).statusCode, 200)
    t.equal((await app.inject({ url: '/fails', headers: as('acme') })).statusCode, 500)
    t.equal((await app.inject({ url: '/shared', headers: as('broken') })).statusCode, 503)
    t.equal((await app.inject({ url: '/shared', headers: as('acme') })).statusCode, 200)
  })
})
