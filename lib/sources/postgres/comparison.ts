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

/** The versions whose remainder by the number of groups is the same. */
interface Group {
  /** The sum of those in the table. */
  readonly sum: string
  /** Those in memory that were in the table when it had this sum. */
  readonly confirmed: Set<string>
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
  #groups: ReadonlyMap<number, Group> = new Map()

  constructor (context: ComparisonContext) {
    this.#context = context
  }

  /** Announces the tenants that differ, also those announced before: their reload may have failed. Rejects when the connection fails. */
  async run (query: Query): Promise<void> {
    const { table, loaded: list } = this.#context
    const loaded = list()
    // Ask about a few tenants at once, because the sums need a look at all rows. Ask about none too: this shows whether the connection is alive.
    if (loaded.length <= PAGE) return this.#ask(query, loaded, new Map())
    const groups = this.#groupsOf(await table.versionSums(query, GROUPS), loaded.length)
    this.#groups = groups
    let page: LoadedTenant[] = []
    for (const [index, tenant] of loaded.entries()) {
      if (index % SLICE === 0) await setImmediate()
      const { version = '' } = tenant
      if (groupOf(version, groups)?.confirmed.has(version) === true) continue
      page.push(tenant)
      if (page.length < PAGE) continue
      await this.#ask(query, page, groups)
      page = []
    }
    if (page.length > 0) await this.#ask(query, page, groups)
  }

  /** Keeps the groups whose sums are the same. Comparisons may overlap: they share only groups of the same sum, for which the same versions are confirmed. */
  #groupsOf (sums: ReadonlyMap<number, string>, loaded: number): Map<number, Group> {
    let confirmed = 0
    for (const group of this.#groups.values()) confirmed += group.confirmed.size
    // Versions of tenants that have left memory stay in their groups: forget all when these are the most.
    const before = confirmed > 2 * loaded ? new Map<number, Group>() : this.#groups
    const groups = new Map<number, Group>()
    for (const [number, sum] of sums) {
      const known = before.get(number)
      groups.set(number, known?.sum === sum ? known : { sum, confirmed: new Set() })
    }
    return groups
  }

  async #ask (query: Query, tenants: readonly LoadedTenant[], groups: ReadonlyMap<number, Group>): Promise<void> {
    const changes = await this.#context.table.changes(query, tenants.map(({ id }) => id))
    for (const [index, change] of changes.entries()) {
      const { version } = tenants[index] as LoadedTenant
      if (version === undefined || change.version !== version || change.active !== true) this.#context.announce(change)
      else groupOf(version, groups)?.confirmed.add(version)
    }
  }
}

function groupOf (version: string, groups: ReadonlyMap<number, Group>): Group | undefined {
  return groups.get(Number(version) % GROUPS)
}
