import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import t from 'tap'

const PROGRAM = join(import.meta.dirname, '../fixtures/debug/program.ts')

/** Runs the program with this `NODE_DEBUG`, and returns the lines about requests that it writes to stderr. */
async function linesWith (debug: string): Promise<string[]> {
  const child = spawn(process.execPath, [...process.execArgv, PROGRAM], { env: { ...process.env, NODE_DEBUG: debug }, stdio: ['ignore', 'inherit', 'pipe'] })
  const lines = (await text(child.stderr)).split('\n').filter(line => line.startsWith('FASTIFY-MULTITENANT'))
  return lines.map(line => line.replace(/^\S+ \d+: /, '')).filter(line => !line.startsWith("tenant '"))
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
    'GET /own: fast path to /own of acme'
  ])
})

t.test('nothing is printed without NODE_DEBUG', async t => {
  t.strictSame(await linesWith(''), [])
})
