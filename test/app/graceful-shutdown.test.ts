import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { get } from 'node:http'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import t from 'tap'

const PROGRAM = join(import.meta.dirname, '../fixtures/http/graceful.ts')

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  t.test(`close-with-grace answers a tenant's request and closes the tenant on ${signal}`, async t => {
    const child = spawn(process.execPath, [...process.execArgv, PROGRAM], { stdio: ['ignore', 'pipe', 'inherit'] })
    t.teardown(() => child.kill('SIGKILL'))
    const exit = once(child, 'exit')
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
    const next = async (): Promise<string> => (await lines.next()).value
    const url = await next()
    // Without keep-alive: Fastify waits for the connection of a request that it has answered while it closes.
    const answer = once(get(`${url}/slow`, { agent: false, headers: { 'x-tenant-id': 'acme' } }), 'response').then(async ([response]) => text(response))
    t.equal(await next(), 'reached')
    child.kill(signal)
    t.equal(await answer, 'answered')
    t.equal(await next(), 'tenant closed')
    t.same(await exit, [0, null])
  })
}
