import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import t from 'tap'
import type { Test } from 'tap'
import { ends } from '../fixtures/containment/forms.ts'
import type { Outcome } from '../fixtures/containment/child.ts'

const CHILD = join(import.meta.dirname, '../fixtures/containment/child.ts')

// Each phase is two processes with many loads.
t.setTimeout(300_000)

type Side = 'tenant' | 'plain'
type Phase = 'load' | 'request' | 'close' | 'listen'

/** Runs all cases of a phase in one process, which must survive them. */
async function outcomes (t: Test, side: Side, phase: Phase): Promise<Outcome[]> {
  const child = spawn(process.execPath, [...process.execArgv, CHILD, side, phase], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => child.kill('SIGKILL'))
  const exit = once(child, 'exit')
  const found: Outcome[] = []
  let last: unknown
  for await (const line of createInterface(child.stdout)) {
    const said = JSON.parse(line) as Outcome & { starts?: string }
    last = said.starts ?? last
    if (said.kind !== undefined) found.push(said)
  }
  const [code] = await exit
  if (code !== 0) throw new Error(`The process ended with ${code}; the last to start was ${last}`)
  return found
}

/** The results of a phase, and for each case of a tenant the result in a child context of plain Fastify. */
async function compare (t: Test, phase: Phase): Promise<Array<Outcome & { name: string, plain: unknown }>> {
  const [tenants, plain] = await Promise.all([outcomes(t, 'tenant', phase), outcomes(t, 'plain', phase)])
  const results = new Map(plain.map(({ kind, form, result }) => [`${kind}: ${form}`, result]))
  return tenants.map(one => ({ ...one, name: `${one.kind} that ${one.form}, ${one.moment}`, plain: results.get(`${one.kind}: ${one.form}`) }))
}

t.test('a tenant whose code fails while it is loaded is refused alone', async t => {
  const all = await compare(t, 'load')
  for (const { name, form, moment, result, neighbour, errors, calls, plain } of all) {
    // A failure that Fastify ignores may be ignored here too. A function that has called back has ended: its error is logged.
    const isServed = moment === 'reload' || form === 'calls back and throws' || (plain === 200 && errors === 0)
    t.strictSame(result, isServed ? [200, 200] : [503, 503], name)
    t.equal(neighbour, 200, `${name}: everybody else is served`)
    t.equal(calls, 1, `${name}: the load is not tried again at once`)
    // The load writes one line. Each of the two refused requests writes another.
    if (plain !== 200) t.equal(errors, isServed ? 1 : 3, `${name}: the log has the tenant's id`)
  }
  t.ok(all.some(({ plain }) => plain === 'dies'), 'some of this ends plain Fastify')
  t.ok(all.some(({ plain }) => plain === 'does not start'))
})

t.test("a tenant whose code fails in a request fails that request alone, as Fastify's child contexts do", async t => {
  const all = await compare(t, 'request')
  for (const { name, form, result, neighbour, errors, calls, plain } of all) {
    if (plain === 'dies') {
      t.equal(result, 500, `${name}: ends plain Fastify`)
      t.ok(errors > 0, `${name}: the log has the tenant's id`)
    } else if (ends(form)) {
      t.equal(result, plain, name)
    }
    t.equal(neighbour, 200, `${name}: everybody else is served`)
    t.ok(calls > 0, `${name} was called`)
  }
  t.ok(all.some(({ plain }) => plain === 'dies'), 'some of this ends plain Fastify')
})

t.test('a tenant whose code fails when it ends is closed, and it is logged', async t => {
  const all = await compare(t, 'close')
  for (const { name, form, result, neighbour, errors, calls } of all) {
    t.equal(result, 'done', name)
    t.equal(neighbour, 200, `${name}: everybody else is served`)
    t.equal(calls, 1, `${name}: the hook runs once`)
    t.equal(errors, form === 'calls back twice' ? 0 : 1, `${name}: the log has the tenant's id`)
  }
  t.ok(all.some(({ plain }) => plain === 'dies'), 'some of this ends plain Fastify')
})

t.test('a tenant whose onListen hook fails is served, and it is logged', async t => {
  for (const { name, form, moment, result, neighbour, errors, calls } of await compare(t, 'listen')) {
    t.equal(result, moment === 'before the app listens' ? 'done' : 200, name)
    t.equal(neighbour, 200, `${name}: everybody else is served`)
    t.equal(calls, 1, name)
    t.equal(errors, form === 'calls back twice' || !ends(form) ? 0 : 1, `${name}: the log has the tenant's id`)
  }
})
