import { LRUCache } from 'lru-cache'
import { hostPatterns, LONGEST_HOST } from './canonical-host.ts'

const MAX_HOSTS = 10_000
/** How many wildcards that have changed hands are remembered. When there are more, what was heard before the oldest of them is forgotten. */
const MAX_WILDCARDS = 10_000
/** How long an answer counts, in ms. */
const TTL = 5_000

/** Whose a host is. */
export interface HostAnswer {
  /** `null` when it is nobody's. */
  readonly id: string | null
  /** Whether the source has been asked in vain since. */
  readonly kept: boolean
  /** How many changes had been told when it was asked for. */
  readonly changes: number
  /** ms, of a clock that nobody sets */
  readonly until: number
}

/** An answer, and up to which change it is known to stand. */
interface Remembered extends HostAnswer {
  stands: number
}

/** Remembers for a short while whose hosts are. Made-up hosts do not push out those that tenants have. */
export class HostAnswers {
  readonly #tenants = new LRUCache<string, Remembered>({ max: MAX_HOSTS })
  readonly #nobodys = new LRUCache<string, Remembered>({ max: MAX_HOSTS })
  /**
   * Those that have changed hands, the latest last, and which change that was. A change looks for no hosts below a wildcard: each host
   * looks for the wildcards above it when it is asked for.
   */
  readonly #wildcards = new Map<string, number>()
  #latestWildcard = 0
  /** What was heard before this change is forgotten. */
  #forgotten = 0
  #changes = 0
  #doubted = 0

  /** How many changes have been told. What was asked for before the last of them may be wrong. */
  get changes (): number {
    return this.#changes
  }

  get (host: string): HostAnswer | undefined {
    const answer = this.#tenants.get(host) ?? this.#nobodys.get(host)
    if (answer === undefined || this.#stands(host, answer)) return answer
    this.#delete(host)
    return undefined
  }

  set (host: string, id: string | null, kept: boolean): void {
    const [to, from] = id === null ? [this.#nobodys, this.#tenants] : [this.#tenants, this.#nobodys]
    from.delete(host)
    to.set(host, { id, kept, changes: this.#changes, until: performance.now() + TTL, stands: this.#changes })
  }

  /** Whether the source need not be asked again. */
  counts (answer: HostAnswer): boolean {
    return answer.until > performance.now() && !this.isDoubted(answer)
  }

  /** Whether something was told since that may concern it. */
  isDoubted ({ changes }: HostAnswer): boolean {
    return changes < this.#doubted
  }

  /** To be called when any host may have changed hands. */
  doubt (): void {
    this.#doubted = ++this.#changes
  }

  /** To be called when these hosts, some of them wildcards, have changed hands; with `null` when nobody knows which. */
  forget (patterns: readonly string[] | null): void {
    if (patterns?.length === 0) return
    this.#changes++
    if (patterns === null) this.#forgotten = this.#changes
    for (const pattern of patterns ?? []) {
      // No host is that long, and none is below such a wildcard.
      if (pattern.length > LONGEST_HOST) continue
      if (pattern.startsWith('*')) this.#forgetBelow(pattern)
      else this.#delete(pattern)
    }
  }

  #forgetBelow (wildcard: string): void {
    this.#latestWildcard = this.#changes
    this.#wildcards.delete(wildcard)
    this.#wildcards.set(wildcard, this.#changes)
    if (this.#wildcards.size <= MAX_WILDCARDS) return
    const [oldest, change] = this.#wildcards.entries().next().value as [string, number]
    this.#wildcards.delete(oldest)
    this.#forgotten = Math.max(this.#forgotten, change)
  }

  /** Whether nothing was forgotten since that it depends on. An answer looks once for each change. */
  #stands (host: string, answer: Remembered): boolean {
    const { stands } = answer
    if (stands < this.#forgotten) return false
    if (stands >= this.#latestWildcard) return true
    if (hostPatterns(host).some(pattern => (this.#wildcards.get(pattern) ?? 0) > stands)) return false
    answer.stands = this.#changes
    return true
  }

  #delete (host: string): void {
    this.#tenants.delete(host)
    this.#nobodys.delete(host)
  }
}
