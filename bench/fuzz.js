/*
 * Does any reply ever hold what is another tenant's?
 *
 * 200 tenants, of which 67 may be loaded, and 1,000,000 requests, 50 at a time, while tenants are loaded, reloaded,
 * evicted, suspended, resumed, unloaded and left by their clients at random. Each reply carries five marks that are read in
 * different ways; all must be its own tenant's and of one generation, and what it used must still be open. Then a shorter run
 * with each guard off, which must find errors: otherwise the run proves nothing.
 *
 * `node bench/fuzz.js --tenants 200 --requests 1000000 --seed 1`; the same seed makes the same choices. Ends with 1 on an error.
 */
import { parseArgs } from 'node:util'
import Fastify from 'fastify'
import multitenant from 'fastify-multitenant'
import { fuzz } from './fuzz-core.js'

/** The figures as rows of the table. */
export async function measure ({ quick, tenants = 200, requests = quick ? 20_000 : 1_000_000, seed = 1 }) {
  const run = options => fuzz({ Fastify, multitenant, tenants, requests, seed, ...options })
  const on = await run({})
  const shared = await run({ guard: 'shared', requests: Math.min(requests, 20_000) })
  const noLease = await run({ guard: 'no lease', requests: Math.min(requests, 20_000) })
  if (on.unexpected.length > 0) throw new Error(`Seed ${seed}: ${on.unexpected.join('; ')}`)
  if (on.opened !== on.closed) throw new Error(`Seed ${seed}: ${on.opened} generations were opened and ${on.closed} closed`)

  return [
    { figure: 'requests', value: on.requests, unit: '' },
    { figure: 'answered', value: on.answered, unit: '' },
    { figure: 'refused because the tenant was suspended, failed, or without a place', value: on.refused, unit: '' },
    { figure: 'loads, reloads, evictions', value: on.loads + on.reloads + on.evictions, unit: '' },
    { figure: "replies with another tenant's mark", value: on.crossTalk, unit: '', target: 0 },
    { figure: 'replies of two generations', value: on.mixed, unit: '', target: 0 },
    { figure: 'replies made with what was closed', value: on.usedAfterClose, unit: '', target: 0 },
    { figure: "guard off, one variable for all: replies with another tenant's mark", value: shared.crossTalk, unit: '', target: '> 0' },
    { figure: 'guard off, no lease: replies made with what was closed', value: noLease.usedAfterClose, unit: '', target: '> 0' }
  ]
}

if (process.argv[1] === import.meta.filename) {
  const { values } = parseArgs({ options: { tenants: { type: 'string' }, requests: { type: 'string' }, seed: { type: 'string' } } })
  const numbers = Object.fromEntries(Object.entries(values).map(([name, value]) => [name, Number(value)]))
  const rows = await measure({ quick: false, ...numbers })
  console.table(rows, ['figure', 'value', 'target'])
  const wrong = rows.filter(({ value, target }) => (target === 0 && value > 0) || (target === '> 0' && value === 0))
  if (wrong.length > 0) process.exitCode = 1
}
