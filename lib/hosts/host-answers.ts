import { LRUCache } from 'lru-cache'
import { hostPatterns, LONGEST_HOST } from './canonical-host.ts'

const MAX_HOSTS = 10_000
/** How many changed hosts and wildcards are remembered. If there are more, whatever is from before the oldest change is outdated. */
const MAX_CHANGED = 10_000
/** How long an answer is valid, in ms. */
const TTL = 5_000

/** When the source was asked, in changes that had been announced. */
export interface Asked {
  /** The number of changes of any hosts. */
  readonly doubts: number
  /** The number of changes of known hosts. Later ones that do not concern the host are added. */
  changes: number
}

/** The owner of a host, as the source gave it. */
export interface HostAnswer {
  /** The tenant's id. `null` if no tenant owns the host. */
  readonly id: string | null
  /** Whether the source has failed since, so that an older answer was kept. */
  readonly kept: boolean
  readonly asked: Asked
  /** When the answer expires, in ms of `performance.now()`. */
  readonly until: number
}

/**
 * Remembers for a few seconds which tenants own hosts, and says whether a change has made an answer invalid, or a question that is on its
 * way. Hosts without an owner have a bound of their own, so that made-up hosts do not evict tenants' hosts.
 *
 * A change does not search for the hosts that it concerns. Each question and each answer knows the change that it has seen last, and is
 * compared with the later ones when it is used.
 */
export class HostAnswers {
  readonly #owned = new LRUCache<string, HostAnswer>({ max: MAX_HOSTS })
  readonly #unowned = new LRUCache<string, HostAnswer>({ max: MAX_HOSTS })
  /** The number of the last change of each changed host and wildcard, the latest last. */
  readonly #changed = new Map<string, number>()
  #changes = 0
  /** Whatever is from before this change is outdated. */
  #droppedUpTo = 0
  #doubts = 0

  /** Call this when the source is asked. */
  ask (): Asked {
    return { doubts: this.#doubts, changes: this.#changes }
  }

  /** Returns whether the source would still answer a question about the host in the same way, as far as is known. */
  isCurrent (host: string, asked: Asked): boolean {
    return !this.isDoubted(asked) && this.#isUnchanged(host, asked)
  }

  /** Returns whether any host may have changed hands since the source was asked. */
  isDoubted ({ doubts }: Asked): boolean {
    return doubts !== this.#doubts
  }

  /** Returns the answer for a host, even if it has expired or is in doubt. `undefined` if there is none, or the host has changed hands. */
  get (host: string): HostAnswer | undefined {
    const answer = this.#owned.get(host) ?? this.#unowned.get(host)
    if (answer === undefined || this.#isUnchanged(host, answer.asked)) return answer
    this.#owned.delete(host)
    this.#unowned.delete(host)
    return undefined
  }

  set (host: string, id: string | null, asked: Asked, kept = false): void {
    const [to, from] = id === null ? [this.#unowned, this.#owned] : [this.#owned, this.#unowned]
    from.delete(host)
    to.set(host, { id, kept, asked, until: performance.now() + TTL })
  }

  /** Returns whether an answer is valid: it has not expired, and is not in doubt. */
  isValid ({ asked, until }: HostAnswer): boolean {
    return until > performance.now() && !this.isDoubted(asked)
  }

  /** Puts all answers in doubt. Call this when any host may have changed hands. */
  doubt (): void {
    this.#doubts++
  }

  /** Drops the answers for hosts and wildcards that have changed hands; `null` drops all. */
  forget (patterns: readonly string[] | null): void {
    if (patterns?.length === 0) return
    this.#changes++
    if (patterns === null) this.#droppedUpTo = this.#changes
    // No valid host is longer, or matches such a wildcard.
    for (const pattern of patterns ?? []) if (pattern.length <= LONGEST_HOST) this.#note(pattern)
  }

  #note (pattern: string): void {
    this.#changed.delete(pattern)
    this.#changed.set(pattern, this.#changes)
    if (this.#changed.size <= MAX_CHANGED) return
    const [oldest, change] = this.#changed.entries().next().value as [string, number]
    this.#changed.delete(oldest)
    this.#droppedUpTo = Math.max(this.#droppedUpTo, change)
  }

  /** Returns whether no known change has concerned the host since the source was asked. */
  #isUnchanged (host: string, asked: Asked): boolean {
    const { changes } = asked
    if (changes === this.#changes) return true
    if (changes < this.#droppedUpTo) return false
    if (hostPatterns(host).some(pattern => (this.#changed.get(pattern) ?? 0) > changes)) return false
    asked.changes = this.#changes
    return true
  }
}
