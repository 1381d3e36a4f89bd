import cors from '@fastify/cors'
import t from 'tap'
import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import { agree } from '../../index.ts'
import type { MultitenantOptions } from '../../index.ts'
import { appOf, as } from '../fixtures/http/app.ts'

const FORGED = { origin: 'https://evil.example', 'access-control-request-method': 'POST' }
const token = ({ headers }: { headers: object }): string | undefined => Reflect.get(headers, 'x-token')
const PROVED: MultitenantOptions = { identify: agree(['header', { strategy: token, required: true }]) }

async function send (app: FastifyInstance, url: string, headers: Record<string, string>): Promise<[status: number, body: string]> {
  const { statusCode, body } = await app.inject({ method: 'OPTIONS', url, headers })
  return [statusCode, body.startsWith('{') ? JSON.parse(body).code : body]
}

t.test('a forged preflight runs no handler without the required token', async t => {
  const ran: string[] = []
  const note = (who: string) => async () => {
    ran.push(who)
    return who
  }
  const acme: FastifyPluginAsync = async scope => {
    scope.all('/all', note('all'))
    scope.options('/options', note('options'))
    scope.all('/proxy/*', note('proxy'))
    scope.options('/users/:id', note('parameter'))
    scope.setNotFoundHandler(note('not found'))
  }
  const app = appOf(t, { acme }, PROVED)
  app.all('/app', note('app'))
  app.options('/cors', note('cors'))
  app.all('/weak/:page', { config: { identify: 'query' } }, note('weak'))

  for (const url of ['/all', '/options', '/proxy/x', '/nowhere', '/app']) {
    t.same(await send(app, url, { ...FORGED, ...as('acme') }), [400, 'FST_TENANT_REQUIRED'], url)
    t.same(await send(app, url, FORGED), [400, 'FST_TENANT_REQUIRED'], `${url} of nobody`)
  }
  t.same(await send(app, `/users/${'x'.repeat(200)}`, { ...FORGED, ...as('acme') }), [400, ''], 'a parameter that is too long')
  t.same(ran, [])
  t.same(await send(app, '/all', { ...FORGED, ...as('acme'), 'x-token': 'acme' }), [200, 'all'], 'with the token it runs')
  t.same(await send(app, '/cors', { ...FORGED, ...as('acme') }), [200, 'cors'], 'a route of the app for OPTIONS alone answers preflights')
  t.same(await send(app, '/weak/page?tenant=acme', { ...FORGED, ...as('acme') }), [200, 'weak'], 'and one that asks for no token needs none')
})

t.test('a forged preflight runs no handler of the app if a tenant is required', async t => {
  const app = appOf(t, {}, { required: true })
  let ran = false
  app.all('/app', async () => { ran = true })
  t.same(await send(app, '/app', FORGED), [400, 'FST_TENANT_REQUIRED'])
  t.equal(ran, false)
})

t.test('a preflight is answered by the CORS plugin of the tenant that it names', async t => {
  const acme: FastifyPluginAsync = async scope => {
    await scope.register(cors, { origin: 'https://evil.example' })
    scope.post('/orders', async () => 'ordered')
  }
  const app = appOf(t, { acme }, PROVED)
  const { statusCode, headers } = await app.inject({ method: 'OPTIONS', url: '/orders', headers: { ...FORGED, ...as('acme') } })
  t.match([statusCode, headers], [204, { 'access-control-allow-origin': 'https://evil.example' }])
})
