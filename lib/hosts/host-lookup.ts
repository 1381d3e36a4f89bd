import pLimit from 'p-limit'
import type { FastifyBaseLogger } from 'fastify'
import { withDeadline } from '../utils/deadline.ts'
import { LONGEST_HOST } from './canonical-host.ts'
import { HostAnswers } from './host-answers.ts'
import type { IdentificationContext, TenantSource } from '../../types/index.ts'

/** How many hosts that were not known before the source is asked about at a time, which it may put into one query, and how many more may wait for that. */
const MAX_ASKING = 50
const MAX_WAITING = 1_000
/** How long a host that has a tenant waits for the source, in ms. */
const PATIENCE = 1_000

/** What hosts are looked up with. */
export interface HostLookupContext {
  resolveHost: NonNullable<TenantSource['resolveHost']>
  /** How long the source may take, in ms. */
  timeout: number
  log: FastifyBaseLogger
}

/** One for all requests that wait for the same answer. */
interface Question {
  answer: Promise<string | null>
  /** How many changes had been told when it was asked. */
  changes: number
}

/** Knows whose hosts are: asks the source, a few hosts at a time however many are made up, and remembers what it says. */
export class HostLookup {
  readonly #context: HostLookupContext
  readonly #answers = new HostAnswers()
  readonly #questions = new Map<string, Question>()
  readonly #limit = pLimit(MAX_ASKING)

  constructor (context: HostLookupContext) {
    this.#context = context
  }

  /** Rejects with what the source throws, which is never remembered, unless the host had a tenant before: it keeps it. */
  readonly find: NonNullable<IdentificationContext['resolveHost']> = host => {
    // A strategy may hand over whatever a client has sent.
    if (host.length > LONGEST_HOST) return null
    const answer = this.#answers.get(host)
    if (answer !== undefined && this.#answers.counts(answer)) return answer.id
    const before = answer?.id ?? null
    const question = this.#questionOf(host, before)
    if (before === null) return question.answer
    // As long as the source fails, nobody waits for it.
    return answer?.kept === true && !this.#answers.isDoubted(answer) ? before : this.#answerOf(host, question)
  }

  /** To be called when any host may have changed hands: the source is asked before an answer counts again. */
  doubt (): void {
    this.#answers.doubt()
  }

  /** To be called when these hosts have changed hands; with `null` when nobody knows which. They do not keep their tenants when the source fails. */
  forget (hosts: readonly string[] | null): void {
    this.#answers.forget(hosts)
  }

  /** Who asks after a change was told does not share a question from before it. */
  #questionOf (host: string, before: string | null): Question {
    const asked = this.#questions.get(host)
    if (asked?.changes === this.#answers.changes) return asked
    const question = { answer: before === null ? this.#askInTurn(host) : this.#ask(host), changes: this.#answers.changes }
    this.#questions.set(host, question)
    this.#remember(host, question)
    return question
  }

  /** Never rejects: who asked is told. */
  async #remember (host: string, question: Question): Promise<void> {
    try {
      const id = await question.answer
      if (question.changes === this.#answers.changes) this.#answers.set(host, id, false)
    } catch (err) {
      this.#keep(host, question, err)
    }
    if (this.#questions.get(host) === question) this.#questions.delete(host)
  }

  /** A source that fails, or takes long, has not said that the host is somebody else's now. */
  async #answerOf (host: string, question: Question): Promise<string | null> {
    try {
      return await withDeadline(question.answer, PATIENCE, noAnswer)
    } catch (err) {
      this.#keep(host, question, err)
      const id = this.#answers.get(host)?.id ?? null
      if (id === null) throw err
      return id
    }
  }

  #keep (host: string, { changes }: Question, err: unknown): void {
    const answer = this.#answers.get(host)
    if (answer === undefined || answer.id === null || changes !== this.#answers.changes) return
    if (!answer.kept) this.#context.log.warn({ err, host, tenantId: answer.id }, 'the source of tenants failed: the host keeps its tenant')
    this.#answers.set(host, answer.id, true)
  }

  async #askInTurn (host: string): Promise<string | null> {
    if (this.#limit.pendingCount >= MAX_WAITING) throw new Error('Too many unknown hosts are asked for')
    return this.#limit(() => this.#ask(host))
  }

  async #ask (host: string): Promise<string | null> {
    const { resolveHost, timeout } = this.#context
    const answer = (async () => resolveHost(host))()
    return await withDeadline(answer, timeout, noAnswer) ?? null
  }
}

function noAnswer (): Error {
  return new Error('The source of tenants does not answer')
}
