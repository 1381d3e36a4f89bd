import Fastify from 'fastify'
import { checks } from './checks.ts'
import type { Check } from './checks.ts'
import type { TenantSource } from '../../../types/index.ts'

/** A tenant that the tests want a source to have. */
export interface WantedTenant {
  id: string
  /** For a source that gives configs. */
  config?: Record<string, unknown>
  /** For a source with `resolveHost`. */
  hosts?: readonly string[]
  /** For a source that suspends. */
  suspended?: boolean
}

/** A source with no tenants, not yet opened, and what the tests do to it. */
export interface TestedSource {
  source: TenantSource
  /** Adds the tenant, or puts it in the place of the one with its id. */
  put (tenant: WantedTenant): unknown
  /** Takes the tenant away. */
  remove? (id: string): unknown
  /** Whether it can suspend tenants. Default: `false`. */
  suspends?: boolean
  /** Makes that on which the source depends unreachable, */
  breakDown? (): unknown
  /** and reachable again. */
  repair? (): unknown
  /** Called after each test, when the source is closed. */
  clean? (): unknown
}

/** What takes a test: that of `node:test`, of tap, or `it` of other runners. */
export type TestFunction = (name: string, run: () => Promise<void>) => unknown

/**
 * Tests that a source keeps to what `TenantSource` says. Each test has a source of its own, from `prepare`.
 * A source without `getMany`, `count`, `resolveHost`, `watch`, `remove`, `suspends` or `breakDown` is not tested for them.
 * @param patience how long a change may take to be told, in ms; 10,000 by default
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
