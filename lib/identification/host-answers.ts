import { LRUCache } from 'lru-cache'
import { hostPatterns } from './canonical-host.ts'

const MAX_HOSTS = 10_000
/** How long an answer counts, in ms. */
const TTL = 5_000
/** How many wildcards are gathered before the hosts below them are looked for. */
const MAX_WILDCARDS = 1_000

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

/** Remembers for a short while whose hosts are. Made-up hosts do not push out those that tenants have. */
export class HostAnswers {
  readonly #tenants = new LRUCache<string, HostAnswer>({ max: MAX_HOSTS })
  readonly #nobodys = new LRUCache<string, HostAnswer>({ max: MAX_HOSTS })
  /** Those that have changed hands. To look for the hosts below takes its time, so it is done for all at once. */
  readonly #wildcards = new Set<string>()
  #changes = 0
  #doubted = 0

  /** How many changes have been told. What was asked for before the last of them may be wrong. */
  get changes (): number {
    return this.#changes
  }

  get (host: string): HostAnswer | undefined {
    if (this.#wildcards.size > 0) this.#forgetBelow()
    return this.#tenants.get(host) ?? this.#nobodys.get(host)
  }

  set (host: string, id: string | null, kept: boolean): void {
    const [to, from] = id === null ? [this.#nobodys, this.#tenants] : [this.#tenants, this.#nobodys]
    from.delete(host)
    to.set(host, { id, kept, changes: this.#changes, until: performance.now() + TTL })
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
    if (patterns === null) this.#keepThose(() => false)
    else if (patterns.length === 0) return
    this.#changes++
    for (const pattern of patterns ?? []) {
      if (pattern.startsWith('*')) this.#wildcards.add(pattern)
      this.#tenants.delete(pattern)
      this.#nobodys.delete(pattern)
    }
    if (this.#wildcards.size >= MAX_WILDCARDS) this.#forgetBelow()
  }

  #forgetBelow (): void {
    this.#keepThose(host => !hostPatterns(host).some(pattern => this.#wildcards.has(pattern)))
    this.#wildcards.clear()
  }

  #keepThose (fits: (host: string) => boolean): void {
    for (const hosts of [this.#tenants, this.#nobodys]) {
      for (const host of [...hosts.keys()]) if (!fits(host)) hosts.delete(host)
    }
  }
}
