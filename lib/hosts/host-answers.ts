import { LRUCache } from 'lru-cache'
import { hostPatterns, LONGEST_HOST } from './canonical-host.ts'

const MAX_HOSTS = 10_000
/** How many changed wildcards are remembered. If there are more, all answers from before the oldest change are dropped. */
const MAX_WILDCARDS = 10_000
/** How long an answer is valid, in ms. */
const TTL = 5_000

/** The owner of a host, as the source gave it. */
export interface HostAnswer {
  /** The tenant's id. `null` if no tenant owns the host. */
  readonly id: string | null
  /** Whether the source has failed since, so that an older answer was kept. */
  readonly kept: boolean
  /** The number of changes that had been announced when the answer was stored. */
  readonly changes: number
  /** When the answer expires, in ms of `performance.now()`. */
  readonly until: number
}

/** An answer, and the last change that is known not to concern it. */
interface Remembered extends HostAnswer {
  checkedUpTo: number
}

/** Remembers for a few seconds which tenants own hosts. Hosts without an owner have a cache of their own, so that made-up hosts do not evict tenants' hosts. */
export class HostAnswers {
  readonly #owned = new LRUCache<string, Remembered>({ max: MAX_HOSTS })
  readonly #unowned = new LRUCache<string, Remembered>({ max: MAX_HOSTS })
  /**
   * The number of the last change of each changed wildcard, the latest last. A change does not search for the hosts that a wildcard
   * matches. Instead, `get()` searches for the wildcards that match its host.
   */
  readonly #wildcards = new Map<string, number>()
  #latestWildcard = 0
  /** Answers from before this change are dropped. */
  #droppedUpTo = 0
  #changes = 0
  #doubtedUpTo = 0

  /** The number of changes that have been announced. A question asked before the last of them may get an outdated answer. */
  get changes (): number {
    return this.#changes
  }

  /** Returns the answer for a host, even if it has expired. `undefined` if there is none, or a change has made it invalid. */
  get (host: string): HostAnswer | undefined {
    const answer = this.#owned.get(host) ?? this.#unowned.get(host)
    if (answer === undefined || this.#isUnchanged(host, answer)) return answer
    this.#delete(host)
    return undefined
  }

  set (host: string, id: string | null, kept: boolean): void {
    const [to, from] = id === null ? [this.#unowned, this.#owned] : [this.#owned, this.#unowned]
    from.delete(host)
    to.set(host, { id, kept, changes: this.#changes, until: performance.now() + TTL, checkedUpTo: this.#changes })
  }

  /** Returns whether an answer is valid: it has not expired, and is not in doubt. */
  isValid (answer: HostAnswer): boolean {
    return answer.until > performance.now() && !this.isDoubted(answer)
  }

  /** Returns whether any host may have changed hands since the answer was stored. */
  isDoubted ({ changes }: HostAnswer): boolean {
    return changes < this.#doubtedUpTo
  }

  /** Puts all answers in doubt. Call this when any host may have changed hands. */
  doubt (): void {
    this.#doubtedUpTo = ++this.#changes
  }

  /** Drops the answers for hosts and wildcards that have changed hands; `null` drops all. */
  forget (patterns: readonly string[] | null): void {
    if (patterns?.length === 0) return
    this.#changes++
    if (patterns === null) this.#droppedUpTo = this.#changes
    for (const pattern of patterns ?? []) {
      // No valid host is this long, or matches such a wildcard.
      if (pattern.length > LONGEST_HOST) continue
      if (pattern.startsWith('*')) this.#forgetWildcard(pattern)
      else this.#delete(pattern)
    }
  }

  #forgetWildcard (wildcard: string): void {
    this.#latestWildcard = this.#changes
    this.#wildcards.delete(wildcard)
    this.#wildcards.set(wildcard, this.#changes)
    if (this.#wildcards.size <= MAX_WILDCARDS) return
    const [oldest, change] = this.#wildcards.entries().next().value as [string, number]
    this.#wildcards.delete(oldest)
    this.#droppedUpTo = Math.max(this.#droppedUpTo, change)
  }

  /** Returns whether no change has concerned the host since the answer was stored. */
  #isUnchanged (host: string, answer: Remembered): boolean {
    const { checkedUpTo } = answer
    if (checkedUpTo < this.#droppedUpTo) return false
    if (checkedUpTo >= this.#latestWildcard) return true
    if (hostPatterns(host).some(pattern => (this.#wildcards.get(pattern) ?? 0) > checkedUpTo)) return false
    answer.checkedUpTo = this.#changes
    return true
  }

  #delete (host: string): void {
    this.#owned.delete(host)
    this.#unowned.delete(host)
  }
}
