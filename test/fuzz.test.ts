import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { Chance } from '../bench/fuzz/random.js'

const FUZZ = fileURLToPath(new URL('../bench/fuzz.js', import.meta.url))

interface Report {
  seed: number
  counts: Record<string, number>
  found: Record<string, number>
  total: number
  examples: string[]
}

interface GuardOff extends Report { finds: string[], hit: boolean }

/** A process of its own, which an uncaught error would end. */
async function fuzz (...parameters: string[]): Promise<{ on: Report[], off: Record<string, GuardOff>, failed: boolean }> {
  const run = promisify(execFile)(process.execPath, [FUZZ, '--json', '--tenants', '40', '--processes', '1', ...parameters])
  const { stdout, code = 0 } = await run.catch((error: { stdout: string, code: number }) => error) as { stdout: string, code?: number }
  return { ...JSON.parse(stdout), failed: code !== 0 }
}

for (const seed of [1, 2]) {
  t.test(`tenants under random requests never mix, and the process survives, seed ${seed}`, async t => {
    const { on: [report], failed } = await fuzz('--guards', 'on', '--requests', '2500', '--seed', String(seed))
    t.strictSame(report?.examples, [])
    t.notOk(failed)
    const { requests = 0, answered = 0, ...others } = report?.counts ?? {}
    t.ok(answered > requests / 2, `${answered} of ${requests} were answered`)
    for (const name of ['aborted', 'upgraded', 'reload', 'suspend', 'resume', 'run', 'evictions']) t.ok(others[name], `${name} has happened`)
  })
}

t.test('negative control: the run finds errors when any guard is off', async t => {
  const { off, failed } = await fuzz('--guards', 'off', '--guard-requests', '2500')
  t.ok(Object.keys(off).length > 10)
  for (const [name, { hit, finds, found }] of Object.entries(off)) t.ok(hit, name, { finds, found })
  t.notOk(failed)
})

t.test('a seed makes the choices repeatable', async t => {
  const numbers = (...seeds: number[]): number[] => {
    const chance = new Chance(...seeds)
    return Array.from({ length: 5 }, () => chance.number())
  }
  t.strictSame(numbers(1, 7), numbers(1, 7))
  t.strictNotSame(numbers(1, 7), numbers(2, 7))
  t.strictNotSame(numbers(1, 7), numbers(1, 8))
  t.ok(numbers(3).every(number => number >= 0 && number < 1))
})
