import t from 'tap'
import { debugLines } from '../fixtures/debug/lines.ts'

/** The lines about requests. */
async function linesWith (debug: string): Promise<string[]> {
  return (await debugLines('program.ts', debug)).filter(line => !line.startsWith("tenant '"))
}

t.test('NODE_DEBUG=fastify-multitenant prints the steps of requests', async t => {
  t.strictSame(await linesWith('fastify-multitenant'), [
    'request req-1: identified as nobody',
    'request req-2: identified as acme',
    'request req-2: leased acme, generation 1',
    'request req-2: handed over to /own',
    'request req-3: identified as acme',
    'request req-3: leased acme, generation 1',
    "request req-3: answered by the app's route",
    'request req-4: identified as acme',
    'request req-4: leased acme, generation 1',
    'request req-4: handed over to the 404 handler',
    'GET /own: fast path to /own for acme'
  ])
})

t.test('nothing is printed without NODE_DEBUG', async t => {
  t.strictSame(await linesWith(''), [])
})
