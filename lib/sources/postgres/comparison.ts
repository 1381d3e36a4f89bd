import { setImmediate } from 'node:timers/promises'
import type { Query } from './connections.ts'
import type { TenantTable } from './table.ts'
import type { LoadedTenant, TenantChange } from '../../../types/index.ts'

/** The tenants and the table that are compared. */
export interface ComparisonContext {
  table: Pick<TenantTable, 'changes' | 'versionSums'>
  /** Returns the tenants in memory. */
  loaded (): LoadedTenant[]
  /** Called for each tenant in memory that differs from its row. */
  announce (change: TenantChange): void
}

/** How many tenants one query asks about. */
const PAGE = 1_000
/** How many tenants are looked at before other work of the process has its turn. */
const SLICE = 10_000
/** How many groups the versions in the table form. A changed row makes the tenants of two groups be asked about. */
const GROUPS = 1_024

/**
 * Finds the tenants in memory that differ from their rows. While nothing changes, a comparison of many tenants is one query.
 *
 * Each insert and each update gives a row a version that no row has had before. So no row has changed between two moments if the table
 * has the same set of versions at both. PostgreSQL sums up a hash of 64 bits of each version, by groups of versions. Two sets with the
 * same sums are the same set but for a chance of 2^-64. The number of rows and the sum of their versions would not do: a transaction can
 * take low versions and commit late, so that its rows make up for others that were deleted. A sum of the rows that are visible needs no
 * order of versions or commits, and sees a `truncate` and writes without triggers too.
 *
 * A version in memory is confirmed if it was in the table when the sums were read, and stays confirmed while the sum of its group is the
 * same. To know that it was there at that moment, the tenants are listed before the sums are read, and their rows are read after that:
 * a version that was in the table before and after has been there in between, because no version returns.
 */
export class Comparison {
  readonly #context: ComparisonContext
  #confirmed: ReadonlySet<string> = new Set()
  #sums: ReadonlyMap<number, string> = new Map()

  constructor (context: ComparisonContext) {
    this.#context = context
  }

  /** Announces the tenants that differ, also those announced before: their reload may have failed. Rejects when the connection fails. */
  async run (query: Query): Promise<void> {
    const { table, loaded: list } = this.#context
    const loaded = list()
    const confirmed = new Set<string>()
    // Ask about a few tenants at once, because the sums need a look at all rows. Ask about none too: this shows whether the connection is alive.
    if (loaded.length <= PAGE) return this.#ask(query, loaded, confirmed)
    const sums = await table.versionSums(query, GROUPS)
    let page: LoadedTenant[] = []
    for (const [index, tenant] of loaded.entries()) {
      if (index % SLICE === 0) await setImmediate()
      const { version } = tenant
      if (version !== undefined && this.#isConfirmed(version, sums)) confirmed.add(version)
      else page.push(tenant)
      if (page.length < PAGE) continue
      await this.#ask(query, page, confirmed)
      page = []
    }
    if (page.length > 0) await this.#ask(query, page, confirmed)
    // Assign both in one step: comparisons may overlap, and the sums of one say nothing about the versions of the other.
    this.#confirmed = confirmed
    this.#sums = sums
  }

  #isConfirmed (version: string, sums: ReadonlyMap<number, string>): boolean {
    if (!this.#confirmed.has(version)) return false
    const group = Number(version) % GROUPS
    return sums.get(group) === this.#sums.get(group)
  }

  async #ask (query: Query, tenants: readonly LoadedTenant[], confirmed: Set<string>): Promise<void> {
    const changes = await this.#context.table.changes(query, tenants.map(({ id }) => id))
    for (const [index, change] of changes.entries()) {
      const { version } = tenants[index] as LoadedTenant
      if (version !== undefined && change.active === true && change.version === version) confirmed.add(version)
      else this.#context.announce(change)
    }
  }
}
