import { LRUCache } from 'lru-cache'
import pLimit from 'p-limit'
import type { FastifyBaseLogger } from 'fastify'
import { withDeadline } from '../tenants/deadline.ts'
import type { IdentificationContext, TenantSource } from '../../types/index.ts'

const MAX_HOSTS = 10_000
/** How long an answer counts, in ms. */
const TTL = 5_000
/** How many hosts that were not known before the source is asked about at a time, and how many more may wait for that. */
const MAX_ASKING = 10
const MAX_WAITING = 1_000

/** What the source said of a host. */
interface Answer {
  id: string | null
  /** What `age` was when the source was asked. */
  age: number
  /** ms since the epoch */
  until: number
}

/** What hosts are looked up with. */
export interface HostLookupContext {
  resolveHost: NonNullable<TenantSource['resolveHost']>
  /** Grows whenever tenants may have been added. */
  age: () => number
  /** How long the source may take, in ms. */
  timeout: number
  log: FastifyBaseLogger
}

/**
 * Asks the source whose a host is, and remembers the answer for a short while. A flood of made-up hosts reaches the source a few at
 * a time, and neither pushes out the hosts that tenants have, nor keeps them waiting when they are asked about again.
 */
export class HostLookup {
  readonly #context: HostLookupContext
  readonly #tenants = new LRUCache<string, Answer>({ max: MAX_HOSTS })
  readonly #nobodys = new LRUCache<string, Answer>({ max: MAX_HOSTS })
  /** One question for all requests that wait for the same answer. */
  readonly #asking = new Map<string, Promise<string | null>>()
  readonly #limit = pLimit(MAX_ASKING)

  constructor (context: HostLookupContext) {
    this.#context = context
  }

  /** Rejects with what the source throws, which is never remembered, unless the host had a tenant before: it keeps it. */
  readonly find: NonNullable<IdentificationContext['resolveHost']> = host => {
    const answer = this.#tenants.get(host) ?? this.#nobodys.get(host)
    if (answer !== undefined && this.#counts(answer)) return answer.id
    const asking = this.#asking.get(host) ?? this.#begin(host, answer?.id ?? null)
    return asking
  }

  #counts ({ age, until }: Answer): boolean {
    return age === this.#context.age() && until > Date.now()
  }

  async #begin (host: string, before: string | null): Promise<string | null> {
    const asking = before === null ? this.#askInTurn(host) : this.#askAgain(host, before)
    this.#asking.set(host, asking)
    try {
      return await asking
    } finally {
      this.#asking.delete(host)
    }
  }

  async #askInTurn (host: string): Promise<string | null> {
    if (this.#limit.pendingCount >= MAX_WAITING) throw new Error('Too many unknown hosts are asked for')
    return this.#limit(() => this.#ask(host))
  }

  /** A source that fails has not said that the host is somebody else's now. */
  async #askAgain (host: string, id: string): Promise<string | null> {
    const { age, log } = this.#context
    try {
      return await this.#ask(host)
    } catch (err) {
      log.warn({ err, host, tenantId: id }, 'the source of tenants failed: the host keeps its tenant')
      this.#remember(host, id, age())
      return id
    }
  }

  async #ask (host: string): Promise<string | null> {
    const { resolveHost, age, timeout } = this.#context
    const asked = age()
    const answer = (async () => resolveHost(host))()
    const id = await withDeadline(answer, timeout, () => new Error('The source of tenants does not answer')) ?? null
    this.#remember(host, id, asked)
    return id
  }

  #remember (host: string, id: string | null, age: number): void {
    const [to, from] = id === null ? [this.#nobodys, this.#tenants] : [this.#tenants, this.#nobodys]
    from.delete(host)
    to.set(host, { id, age, until: Date.now() + TTL })
  }
}
