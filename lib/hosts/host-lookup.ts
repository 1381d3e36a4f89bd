import pLimit from 'p-limit'
import type { FastifyBaseLogger } from 'fastify'
import { withDeadline } from '../utils/deadline.ts'
import { LONGEST_HOST } from './canonical-host.ts'
import { HostAnswers } from './host-answers.ts'
import type { Asked } from './host-answers.ts'
import type { IdentificationContext, TenantSource } from '../../types/index.ts'

/** How many unknown hosts are looked up at a time. A source may batch them into one query. */
const MAX_LOOKUPS = 50
/** How many unknown hosts may wait for a look-up. Further ones are refused. */
const MAX_WAITING = 1_000
/** How long a request waits for the source if its host had a tenant before, in ms. */
const KNOWN_HOST_WAIT = 1_000

/** The options of a `HostLookup`. */
export interface HostLookupContext {
  /** The method of the source. */
  resolveHost: NonNullable<TenantSource['resolveHost']>
  /** How long the source may take to look up a host, in ms. */
  timeout: number
  log: FastifyBaseLogger
}

/** A running call of the source. Requests for the same host share it. */
interface Question {
  answer: Promise<string | null>
  asked: Asked
}

/** Finds the tenants of hosts. Limits how many hosts the source is asked about at a time, and remembers its answers. */
export class HostLookup {
  readonly #context: HostLookupContext
  readonly #answers = new HostAnswers()
  readonly #questions = new Map<string, Question>()
  readonly #limit = pLimit(MAX_LOOKUPS)

  constructor (context: HostLookupContext) {
    this.#context = context
  }

  /** Returns the id of the host's tenant, or `null`. Rejects when the source fails; failures are not cached. A host that already had a tenant keeps it. */
  readonly find: NonNullable<IdentificationContext['resolveHost']> = host => {
    // A custom strategy may pass text from the client that is not a host.
    if (host.length > LONGEST_HOST) return null
    const answer = this.#answers.get(host)
    if (answer !== undefined && this.#answers.isValid(answer)) return answer.id
    const owner = answer?.id ?? null
    const question = this.#questionOf(host, owner !== null)
    if (owner === null) return question.answer
    // While the source fails, requests of known hosts do not wait for it.
    return answer?.kept === true && !this.#answers.isDoubted(answer.asked) ? owner : this.#answerOrKeep(host, question)
  }

  /** Makes the source confirm each answer before it is used again. Call this when any host may have changed hands. */
  doubt (): void {
    this.#answers.doubt()
  }

  /** Drops the answers for these hosts, `null` for all. Call this when they have changed hands: they do not keep their tenants when the source fails. */
  forget (hosts: readonly string[] | null): void {
    this.#answers.forget(hosts)
  }

  /** Returns the running call for a host, or starts one. A call from before a change that may concern the host is not reused. */
  #questionOf (host: string, isOwned: boolean): Question {
    const running = this.#questions.get(host)
    if (running !== undefined && this.#answers.isCurrent(host, running.asked)) return running
    const question = { asked: this.#answers.ask(), answer: isOwned ? this.#ask(host) : this.#askQueued(host) }
    this.#questions.set(host, question)
    this.#remember(host, question)
    return question
  }

  /** Stores the answer. Never rejects: the error reaches the requests that wait for the same call. */
  async #remember (host: string, question: Question): Promise<void> {
    try {
      const id = await question.answer
      if (this.#answers.isCurrent(host, question.asked)) this.#answers.set(host, id, question.asked)
    } catch (err) {
      this.#keep(host, question, err)
    }
    if (this.#questions.get(host) === question) this.#questions.delete(host)
  }

  /** Returns the answer. If the source fails or is slow, the host keeps its tenant, because no change has been announced. */
  async #answerOrKeep (host: string, question: Question): Promise<string | null> {
    try {
      return await withDeadline(question.answer, KNOWN_HOST_WAIT, sourceTimeout)
    } catch (err) {
      this.#keep(host, question, err)
      const id = this.#answers.get(host)?.id ?? null
      if (id === null) throw err
      return id
    }
  }

  /** Keeps the tenant of the host after a failure, unless a change since the question may concern the host. */
  #keep (host: string, { asked }: Question, err: unknown): void {
    const answer = this.#answers.get(host)
    if (answer === undefined || answer.id === null || !this.#answers.isCurrent(host, asked)) return
    if (!answer.kept) this.#context.log.warn({ err, host, tenantId: answer.id }, 'the source of tenants failed, so the host keeps its tenant')
    this.#answers.set(host, answer.id, asked, true)
  }

  async #askQueued (host: string): Promise<string | null> {
    if (this.#limit.pendingCount >= MAX_WAITING) throw new Error('Too many unknown hosts are being looked up')
    return this.#limit(() => this.#ask(host))
  }

  async #ask (host: string): Promise<string | null> {
    const { resolveHost, timeout } = this.#context
    const answer = (async () => resolveHost(host))()
    return await withDeadline(answer, timeout, sourceTimeout) ?? null
  }
}

function sourceTimeout (): Error {
  return new Error('The source of tenants does not answer')
}
