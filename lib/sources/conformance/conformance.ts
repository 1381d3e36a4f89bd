import Fastify from 'fastify'
import { checks } from './checks.ts'
import type { Check, TestedSource } from './checks.ts'

export type { TestedSource, WantedTenant } from './checks.ts'

/** The function that defines a test: `test` of `node:test` or tap, `it` of other runners. */
export type TestFunction = (name: string, run: () => Promise<void>) => unknown

/**
 * Tests that a source fulfils the contract of `TenantSource`. `prepare` creates a source for each test.
 * The tests skip optional parts that are missing: `getMany`, `count`, `resolveHost`, `watch`, `remove`, `suspends`, `breakDown`.
 * @param patience how long the source may take to announce a change, in ms. Default: 10,000
 */
export function testTenantSource (test: TestFunction, prepare: () => TestedSource | Promise<TestedSource>, { patience = 10_000 }: { patience?: number } = {}): void {
  for (const [name, check] of Object.entries(checks)) test(name, async () => run(await prepare(), check, patience))
}

async function run (tested: TestedSource, check: Check, patience: number): Promise<void> {
  try {
    await tested.source.open?.({ log: Fastify().log })
    await check(tested, patience)
  } finally {
    await tested.source.close?.()
    await tested.clean?.()
  }
}
