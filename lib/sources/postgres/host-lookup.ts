import { LRUCache } from 'lru-cache'
import { hostPatterns } from '../../identification/canonical-host.ts'

/** Finds the tenants of hosts; those that are nobody's are left out. */
export type FindTenants = (hosts: readonly string[]) => Promise<ReadonlyMap<string, string>>

/** Whose a host was, and when. */
interface Answer {
  id: string | null
  /** ms since the epoch */
  at: number
}

/** Who waits to hear whose a host is. */
interface Question {
  promise: Promise<string | null>
  resolve (id: string | null): void
  reject (error: unknown): void
}

const MAX_HOSTS = 10_000
const MAX_WAITING = 1_000
const BATCH = 100
/** How long a host that belongs to a tenant is remembered while changes are told, in ms. */
const TTL = 60_000
/** The same for one that is nobody's. */
const UNKNOWN_TTL = 5_000

/**
 * Remembers whose hosts are. However many are asked for, one query is on its way at a time, so that a flood of made-up hosts does
 * not reach the database as one.
 */
export class HostLookup {
  readonly #find: FindTenants
  readonly #answers = new LRUCache<string, Answer>({ max: MAX_HOSTS })
  readonly #questions = new Map<string, Question>()
  #asking = false
  #trusted = false
  /** ms since the epoch */
  #trustedSince = 0
  /** Grows whenever hosts change hands. */
  #age = 0

  constructor (find: FindTenants) {
    this.#find = find
  }

  /** Says whether changes are told. While they are not, the hosts of tenants stay what they were, and no host is taken for nobody's without asking. */
  trust (trusted: boolean): void {
    this.#trusted = trusted
    this.#trustedSince = Date.now()
  }

  /** To be called when hosts, some of them wildcards, have changed hands; with `null` when nobody knows which. */
  changed (hosts: readonly string[] | null): void {
    this.#age++
    const concerned = new Set(hosts)
    for (const host of [...this.#answers.keys()]) {
      if (hosts === null || hostPatterns(host).some(candidate => concerned.has(candidate))) this.#answers.delete(host)
    }
  }

  /** The id of the host's tenant, at once when it is remembered; `null` when it is nobody's. */
  resolve (host: string): string | null | Promise<string | null> {
    const answer = this.#answers.get(host)
    return answer !== undefined && this.#isFresh(answer) ? answer.id : this.#ask(host)
  }

  #isFresh ({ id, at }: Answer): boolean {
    if (!this.#trusted) return id !== null
    return at >= this.#trustedSince && Date.now() - at < (id === null ? UNKNOWN_TTL : TTL)
  }

  async #ask (host: string): Promise<string | null> {
    const { promise } = this.#questions.get(host) ?? this.#add(host)
    try {
      return await promise
    } catch (error) {
      // As long as nothing else is known, a tenant's host is its own: without PostgreSQL, tenants go on.
      const id = this.#answers.get(host)?.id ?? null
      if (id !== null) return id
      throw error
    }
  }

  #add (host: string): Question {
    if (this.#questions.size >= MAX_WAITING) throw new Error('Too many hosts are being looked up')
    const question = newQuestion()
    this.#questions.set(host, question)
    this.#answerAll()
    return question
  }

  /** Never rejects. */
  async #answerAll (): Promise<void> {
    if (this.#asking) return
    this.#asking = true
    while (this.#questions.size > 0) {
      const batch = [...this.#questions].slice(0, BATCH)
      // Who asks for one of them from now on may have heard of a change that this query misses.
      for (const [host] of batch) this.#questions.delete(host)
      await this.#answer(batch)
    }
    this.#asking = false
  }

  async #answer (batch: ReadonlyArray<[host: string, question: Question]>): Promise<void> {
    const at = Date.now()
    const age = this.#age
    try {
      const found = await this.#find(batch.map(([host]) => host))
      for (const [host, { resolve }] of batch) {
        const id = found.get(host) ?? null
        if (age === this.#age) this.#answers.set(host, { id, at })
        resolve(id)
      }
    } catch (error) {
      for (const [, { reject }] of batch) reject(error)
    }
  }
}

function newQuestion (): Question {
  let settle: Omit<Question, 'promise'> | undefined
  const promise = new Promise<string | null>((resolve, reject) => { settle = { resolve, reject } })
  return { promise, ...settle as unknown as Omit<Question, 'promise'> }
}
