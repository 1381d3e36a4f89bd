import t from 'tap'
import { debugLines } from '../fixtures/debug/lines.ts'

/** The lines about tenants, without durations. */
async function linesWith (debug: string): Promise<string[]> {
  const lines = (await debugLines('loads.ts', debug)).filter(line => line.startsWith('tenant '))
  return lines.map(line => line.replace(/\d+ ms$/, 'N ms'))
}

t.test('NODE_DEBUG=fastify-multitenant prints the steps of loads', async t => {
  const lines = await linesWith('fastify-multitenant')
  t.strictSame(lines.slice(0, 11), [
    "tenant 'acme': looked up",
    "tenant 'acme', generation 1: build begins",
    "tenant 'acme', generation 1: built in N ms",
    "tenant 'acme', generation 1: swap, replaces none",
    "tenant 'acme': looked up",
    "tenant 'acme', generation 2: build begins",
    "tenant 'acme', generation 2: built in N ms",
    "tenant 'acme', generation 2: swap, replaces generation 1",
    "tenant 'acme', generation 1: drain begins, 0 in flight",
    "tenant 'acme', generation 1: closed",
    "tenant 'globex': looked up"
  ])
  t.ok(lines.indexOf("tenant 'acme', generation 2: evicted") < lines.indexOf("tenant 'acme', generation 2: closed"))
  t.ok(lines.indexOf("tenant 'acme', generation 2: closed") < lines.indexOf("tenant 'globex', generation 1: build begins"))
  t.match(lines.at(-1), /^tenant 'broken', generation 1: build failed: .*could not be loaded/)
})

t.test('NODE_DEBUG=fastify-multitenant prints the steps of templates', async t => {
  const lines = (await debugLines('loads.ts', 'fastify-multitenant')).filter(line => line.startsWith('template '))
  t.match(lines, [/^template 'shop', generation 1: built in \d+ ms$/, "template 'shop', generation 1: swap, replaces none", "template 'shop', generation 1: closed"])
})

t.test('nothing is printed without NODE_DEBUG', async t => {
  t.strictSame(await linesWith(''), [])
})
