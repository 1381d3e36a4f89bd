import { setImmediate } from 'node:timers/promises'
import pLimit from 'p-limit'
import { hostPatterns } from '../../hosts/canonical-host.ts'

/** Answers with the owners by pattern, of the patterns that have one. */
export type FindOwners = (patterns: readonly string[]) => Promise<ReadonlyMap<string, string>>

/** The hosts that one query asks about. */
interface Batch {
  readonly patterns: Set<string>
  readonly owners: Promise<ReadonlyMap<string, string>>
}

/** How many queries run at a time. The other connections of a pool are left to the ids. */
const MAX_QUERIES = 2
/** With how many patterns a query takes no further host. A host has at most 253 of them. */
const MAX_PATTERNS = 1_000
/** The hosts that the table may have. PostgreSQL would refuse some other text, and with it all that is asked in the same query. */
const HOST = /^[!-~]{1,253}$/

/** Asks about many hosts in few queries: the hosts that come while queries run share the next one. */
export class HostBatches {
  readonly #findOwners: FindOwners
  readonly #limit = pLimit(MAX_QUERIES)
  /** The one that takes further hosts. */
  #batch: Batch | undefined

  constructor (findOwners: FindOwners) {
    this.#findOwners = findOwners
  }

  /** The tenant that has exactly this host, else the longest wildcard that fits; `null` when it is nobody's. Rejects with what the query throws. */
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
      // Requests that came together are asked about together.
      await setImmediate()
      if (this.#batch?.patterns === patterns) this.#batch = undefined
      return this.#findOwners([...patterns])
    })
    return { patterns, owners }
  }
}
