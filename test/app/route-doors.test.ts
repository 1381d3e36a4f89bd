import { once } from 'node:events'
import { Agent } from 'node:http'
import t from 'tap'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import multitenant, { AgreeStrategy, PathStrategy, TenantIdentificationStrategy } from '../../index.ts'
import type { Identify } from '../../index.ts'
import { emptyApp, listen } from '../fixtures/http/app.ts'
import type { Teardown } from '../fixtures/http/app.ts'
import { ask } from '../fixtures/http/exchange.ts'

const METHODS = ['GET', 'HEAD', 'OPTIONS', 'POST', 'PURGE']
/** The URL of a route, the more exact ones first. */
const URLS = { static: '/invoices', parametric: '/:page', wildcard: '/*' }
const EXACTNESS = ['wildcard', 'parametric', 'static']
const SHAPES = ['none', 'static', 'parametric', 'wildcard'] as const
const VARIANTS = ['plain', 'identify', 'override: false'] as const
const MODES = ['header', 'path'] as const
/** The credentials of a request: the tenant and the token that the app requires, one of these, or those of the app's route. */
const PROOFS = ['all', 'tenant', 'query'] as const

type Shape = typeof SHAPES[number]
type Proof = typeof PROOFS[number]
interface Setting { mode: typeof MODES[number], shape: Shape, variant: typeof VARIANTS[number] }

/** Stands in for a verified token. Counts at which door it is asked. */
class Token extends TenantIdentificationStrategy {
  before = 0

  override extractTenantId ({ id, headers }: FastifyRequest): string | undefined {
    if (id === undefined) this.before++
    return headers['x-token'] as string | undefined
  }
}

class HeadOnly extends AgreeStrategy {
  override readonly readsHeadOnly = true
}

const SETTINGS = MODES.flatMap(mode => SHAPES.flatMap(shape => shape === 'none'
  ? [{ mode, shape, variant: 'plain' } as Setting]
  : VARIANTS.map(variant => ({ mode, shape, variant }))))

/** The expected answer to a request for `/invoices`, by the rules in docs/identification.md. */
function expected ({ mode, shape, variant }: Setting, own: Shape, proof: Proof): string {
  const found = mode === 'header' || shape === 'wildcard' ? shape : 'none'
  if (found !== 'none' && variant === 'identify') {
    if (proof === 'all' && EXACTNESS.indexOf(own) > EXACTNESS.indexOf(shape)) return `tenant ${own}`
    return `app for ${proof === 'query' ? own : 'nobody'}`
  }
  if (proof !== 'all') return '400'
  // The path strategy does not lead to a route with its own `identify`.
  const there = variant === 'identify' ? 'none' : shape
  if (there !== 'none' && variant === 'override: false') return `app for ${own}`
  if (own !== 'none' && (there === 'none' || own !== 'wildcard' || there === 'wildcard')) return `tenant ${own}`
  return there === 'none' ? '404' : `app for ${own}`
}

async function build (t: Teardown, { shape, variant }: Setting, identify: Identify | readonly Identify[]): Promise<FastifyInstance> {
  const app = emptyApp(t)
  app.addHttpMethod('PURGE')
  const plugin = (own: Shape) => async (scope: FastifyInstance): Promise<void> => {
    if (own !== 'none') scope.route({ method: [...METHODS], url: URLS[own], handler: async (_request, reply) => reply.header('x-answer', `tenant ${own}`).send('') })
  }
  app.register(multitenant, { identify, tenants: Object.fromEntries(SHAPES.map(own => [own, { plugin: plugin(own) }])) })
  if (shape !== 'none') {
    const config = { ...(variant === 'identify' && { identify: 'query' as const }), ...(variant === 'override: false' && { override: false }) }
    app.route({
      method: [...METHODS],
      url: URLS[shape],
      config,
      handler: async ({ tenantId }, reply) => reply.header('x-answer', `app for ${tenantId ?? 'nobody'}`).send('')
    })
  }
  app.setErrorHandler(async (error, _request, reply) => reply.code((error as { statusCode?: number }).statusCode ?? 500).send(''))
  await listen(app)
  for (const own of SHAPES) await app.multitenant.init(own)
  return app
}

interface Cell { method: string, url: string, headers: Record<string, string> }

function cellOf ({ mode }: Setting, own: Shape, method: string, proof: Proof): Cell {
  const path = `${mode === 'path' ? `/${own}` : ''}/invoices`
  return {
    method,
    url: proof === 'query' ? `${path}?tenant=${own}` : path,
    headers: { ...(mode === 'header' && proof !== 'query' && { 'x-tenant-id': own }), ...(proof === 'all' && { 'x-token': own }) }
  }
}

const DOORS = {
  hook: async (app: FastifyInstance, cell: Cell) => {
    const { headers, statusCode } = await app.inject(cell as object)
    return headers['x-answer'] ?? String(statusCode)
  },
  'fast path': async (app: FastifyInstance, cell: Cell, agent: Agent) => {
    const [incoming] = await once(ask(app, { ...cell, agent }).end(), 'response')
    incoming.resume()
    await once(incoming, 'end')
    return incoming.headers['x-answer'] ?? String(incoming.statusCode)
  }
}

/** The cells of the table with an unexpected answer. */
async function wrongCells (t: Teardown, setting: Setting, identify: Identify | readonly Identify[]): Promise<string[]> {
  const app = await build(t, setting, identify)
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const wrong: string[] = []
  for (const own of SHAPES) {
    for (const proof of PROOFS) {
      const right = expected(setting, own, proof)
      for (const method of METHODS) {
        for (const [door, through] of Object.entries(DOORS)) {
          const answer = await through(app, cellOf(setting, own, method, proof), agent)
          if (answer !== right) wrong.push(`${method} of ${own} with ${proof} by the ${door}: ${answer} instead of ${right}`)
        }
      }
    }
  }
  agent.destroy()
  return wrong
}

function identifyBy ({ mode }: Setting, token: Token): AgreeStrategy {
  const required = { strategy: token, required: true }
  return mode === 'header' ? new HeadOnly(['header', required]) : new AgreeStrategy([new PathStrategy(), required])
}

t.test('only the identification that protects a route gives access to it', async t => {
  for (const setting of SETTINGS) {
    const token = new Token()
    t.same(await wrongCells(t, setting, identifyBy(setting, token)), [], Object.values(setting).join(' '))
    t.equal(token.before > 0, setting.mode === 'header', 'requests came by both doors')
  }
})

/** Treats a refusal as no id, so that the next strategy is asked. */
class Lenient extends AgreeStrategy {
  override extractTenantId (...parameters: Parameters<AgreeStrategy['extractTenantId']>): ReturnType<AgreeStrategy['extractTenantId']> {
    try {
      return super.extractTenantId(...parameters)
    } catch {
      return undefined
    }
  }
}

t.test('the table finds a route that the query strategy opens', async t => {
  const setting = { mode: 'header', shape: 'parametric', variant: 'plain' } as const
  const wrong = await wrongCells(t, setting, [new Lenient([identifyBy(setting, new Token())]), 'query'])
  for (const method of METHODS) t.ok(wrong.includes(`${method} of static with query by the hook: tenant static instead of 400`), method)
})
