import Fastify from 'fastify'
import t from 'tap'
import { fuzz, randomNumbers } from '../bench/fuzz-core.js'
import multitenant from '../index.ts'
import type { FuzzOptions } from '../bench/fuzz-core.js'

const small: Omit<FuzzOptions, 'seed'> = { Fastify, multitenant, tenants: 40, requests: 2_500 }

for (const seed of [1, 2]) {
  t.test(`tenants that come and go at random never meet in a reply, seed ${seed}`, async t => {
    const found = await fuzz({ ...small, seed })
    t.match(found, { crossTalk: 0, mixed: 0, usedAfterClose: 0, unexpected: [] })
    t.equal(found.opened, found.closed, 'each generation that was opened is closed at the end')
    t.ok(found.answered > small.requests / 2, `${found.answered} were answered`)
    t.ok(found.reloads > 0 && found.evictions > 0 && found.aborted > 0, 'and all of it has happened')
  })
}

t.test('negative control: with one variable for all tenants the run finds replies of others', async t => {
  const { crossTalk } = await fuzz({ ...small, seed: 1, guard: 'shared' })
  t.ok(crossTalk > 0, `${crossTalk} replies`)
})

t.test('negative control: without leases the run finds replies made with what was closed', async t => {
  const { usedAfterClose } = await fuzz({ ...small, seed: 1, guard: 'no lease' })
  t.ok(usedAfterClose > 0, `${usedAfterClose} replies`)
})

t.test('a seed makes the choices repeatable', async t => {
  const numbers = (seed: number): number[] => Array.from({ length: 5 }, randomNumbers(seed))
  t.same(numbers(1), numbers(1))
  t.strictNotSame(numbers(1), numbers(2))
  t.ok(numbers(3).every(number => number >= 0 && number < 1))
})
