import { setImmediate } from 'node:timers/promises'
import pLimit from 'p-limit'
import { hostPatterns } from '../../hosts/canonical-host.ts'

/** Returns the owners by pattern. Patterns without an owner are missing. */
export type FindOwners = (patterns: readonly string[]) => Promise<ReadonlyMap<string, string>>

/** The hosts of one query. */
interface Batch {
  readonly patterns: Set<string>
  readonly owners: Promise<ReadonlyMap<string, string>>
}

/** How many queries run at a time. The other connections of the pool stay free for look-ups by id. */
const MAX_QUERIES = 2
/** A query with this many patterns takes no further hosts. A text of 253 characters has at most 254 patterns. */
const MAX_PATTERNS = 1_000
/** The hosts that the table can hold. PostgreSQL would refuse some other text, and the error would fail all hosts of the query. */
const HOST = /^[!-~]{1,253}$/

/** Looks up many hosts in few queries: hosts that arrive while queries run share the next query. */
export class HostBatches {
  readonly #findOwners: FindOwners
  readonly #limit = pLimit(MAX_QUERIES)
  /** The batch that still takes hosts. */
  #batch: Batch | undefined

  constructor (findOwners: FindOwners) {
    this.#findOwners = findOwners
  }

  /** Returns the id of the tenant with exactly this host, else with the longest matching wildcard, else `null`. Rejects when the query fails. */
  async find (host: string): Promise<string | null> {
    if (!HOST.test(host)) return null
    const patterns = hostPatterns(host)
    const owners = await this.#add(patterns).owners
    const pattern = patterns.find(pattern => owners.has(pattern))
    return pattern === undefined ? null : owners.get(pattern) as string
  }

  #add (patterns: readonly string[]): Batch {
    const batch = this.#batch ?? this.#newBatch()
    for (const pattern of patterns) batch.patterns.add(pattern)
    this.#batch = batch.patterns.size < MAX_PATTERNS ? batch : undefined
    return batch
  }

  #newBatch (): Batch {
    const patterns = new Set<string>()
    const owners = this.#limit(async () => {
      // Let requests that arrived together join the batch.
      await setImmediate()
      if (this.#batch?.patterns === patterns) this.#batch = undefined
      return this.#findOwners([...patterns])
    })
    return { patterns, owners }
  }
}
