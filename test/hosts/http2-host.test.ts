import { once } from 'node:events'
import { connect } from 'node:http2'
import { text } from 'node:stream/consumers'
import Fastify from 'fastify'
import t from 'tap'
import multitenant from '../../index.ts'
import { pair } from '../fixtures/identification/asking.ts'

t.test('an HTTP/2 request whose host differs from its authority is refused, as two hosts over HTTP/1.1 are', async t => {
  for (const [identify, baseDomain] of [['host', undefined], ['subdomain', 'example']] as const) {
    const app = Fastify({ http2: true })
    app.register(multitenant, { tenants: pair, identify, ...(baseDomain !== undefined && { baseDomain }) })
    const client = connect(await app.listen({ host: '127.0.0.1', port: 0 }))
    t.teardown(async () => {
      client.close()
      await app.close()
    })
    const ask = async (headers: Record<string, string>): Promise<string> => {
      const stream = client.request({ ':path': '/who', ...headers })
      const [{ ':status': status }] = await once(stream, 'response')
      const body = await text(stream)
      return status === 200 ? body : JSON.parse(body).code
    }
    t.equal(await ask({ ':authority': 'acme.example' }), 'acme')
    t.equal(await ask({ ':authority': 'acme.example', host: 'ACME.example:443' }), 'acme', 'the same host in another spelling')
    t.equal(await ask({ ':authority': 'acme.example', host: 'globex.example' }), 'FST_TENANT_INVALID_ID')
    t.equal(await ask({ ':authority': 'globex.example', host: 'acme.example' }), 'FST_TENANT_INVALID_ID')
    t.equal(await ask({ ':authority': 'acme.example', host: '..' }), 'FST_TENANT_INVALID_ID')
  }
})
