/*
 * Can a client, or another tenant's ordinary bug, ever be seen in a tenant's replies, or end the process?
 *
 * 200 tenants, 67 of them loaded at most, and 1,000,000 requests while tenants are loaded, reloaded, evicted, suspended, resumed,
 * unloaded and fail at random: over raw HTTP/1.1 sockets, pipelined, with upgrades, slow bodies and clients that leave at any moment;
 * over HTTP/2; without a socket. Every reply, header and log line must be its own tenant's, every lease must end, and nothing may be
 * thrown that nobody catches. Then a shorter run with each guard off, which must find errors: otherwise the run proves nothing.
 *
 *   node bench/fuzz.js --tenants 200 --requests 1000000 --seed 1
 *   --processes       how many share the requests, each with a seed of its own, the next ones; default: 2
 *   --from, --to      only these actions of the seed, to see again what a run has found
 *   --without         leaves a part of the run out; may be there more than once
 *   --guards          on: only the run with all guards on; off: only those without one
 *   --guard-requests  after how many requests a run without a guard must have found errors
 *   --json            prints the reports instead of tables
 *
 * The same seed makes the same choices. Ends with 1 where a run has found errors, or one with a guard off has not.
 */
import { execFile } from 'node:child_process'
import { parseArgs, promisify } from 'node:util'
import Fastify from 'fastify'
import multitenant from 'fastify-multitenant'
import { fuzz } from './fuzz-core.js'
import { KINDS } from './fuzz/findings.js'
import { SABOTAGES } from './fuzz/sabotages.js'

const { values } = parseArgs({
  options: {
    tenants: { type: 'string', default: '200' },
    requests: { type: 'string', default: '1000000' },
    'guard-requests': { type: 'string', default: '20000' },
    processes: { type: 'string', default: '2' },
    seed: { type: 'string', default: '1' },
    from: { type: 'string' },
    to: { type: 'string' },
    without: { type: 'string', multiple: true, default: [] },
    guards: { type: 'string' },
    json: { type: 'boolean', default: false }
  }
})
const { tenants, requests, 'guard-requests': guardRequests, processes, seed, from, to } = Object.fromEntries(Object.entries(values).map(([name, value]) => [name, Number(value)]))
const options = { Fastify, multitenant, tenants, seed, without: values.without }

const on = values.guards === 'off' ? [] : await runOn()
const off = values.guards === 'on' ? {} : await runOff()
if (values.json) console.log(JSON.stringify({ on, off }))
else print()
if (on.some(({ total }) => total > 0) || Object.values(off).some(({ hit }) => !hit)) process.exitCode = 1

async function runOn () {
  if (processes === 1) return [await fuzz({ ...options, requests, ...(values.from && { from }), ...(values.to && { to }) })]
  const given = ['tenants', 'from', 'to'].filter(name => values[name] !== undefined).flatMap(name => [`--${name}`, values[name]])
  const without = values.without.flatMap(part => ['--without', part])
  const own = index => ['--processes', '1', '--guards', 'on', '--json', '--requests', Math.ceil(requests / processes), '--seed', seed + index]
  return Promise.all(Array.from({ length: processes }, (_, index) => runChild([...given, ...without, ...own(index).map(String)])))
}

/** A run that has found errors ends with 1, and one that an error has ended prints no report. */
async function runChild (parameters) {
  const run = promisify(execFile)(process.execPath, [import.meta.filename, ...parameters], { maxBuffer: 2 ** 26 })
  const { stdout, stderr, code, signal } = await run.catch(error => error)
  if (stdout === '') throw new Error(`${parameters.join(' ')} ended with ${signal ?? code} and without a report: ${stderr}`)
  return JSON.parse(stdout).on[0]
}

async function runOff () {
  const reports = {}
  for (const [name, sabotage] of Object.entries(SABOTAGES)) {
    const report = await fuzz({ ...options, sabotage, requests: guardRequests })
    reports[name] = { ...report, finds: sabotage.finds, hit: sabotage.finds.some(kind => report.found[kind] > 0) }
  }
  return reports
}

function print () {
  for (const { seed, counts, found, examples } of on) {
    console.log(`Seed ${seed}`)
    console.table(counts)
    console.table(Object.entries(found).map(([kind, count]) => ({ found: KINDS[kind], count })))
    for (const example of examples) console.log(`seed ${seed}: ${example}`)
  }
  if (values.guards !== 'on') console.table(Object.entries(off).map(([name, { hit, finds, counts }]) => ({ 'guard off': name, 'should find': finds.join(' or '), found: hit, requests: counts.requests })))
}
