import { LRUCache } from 'lru-cache'
import { mayBeId } from './table.ts'
import type { Query } from './connections.ts'
import type { TenantChange } from '../../../types/index.ts'

/** Where messages are checked, and whom they are told to when they are true. */
export interface NoticesContext {
  /** Asks on the connection that listens. Does not call `work` when there is none. Never rejects. */
  ask (work: (query: Query) => Promise<void>): Promise<void>
  /** How these tenants are now. */
  states (query: Query, ids: readonly string[]): Promise<TenantChange[]>
  tell (change: TenantChange): void
  /** Called when messages were about more tenants than are remembered: any may have changed. */
  tellAny (query: Query): Promise<void>
  /** Called with how many messages were not of the table. */
  onStrange (count: number): void
}

/** What messages said of a tenant since the last check. */
interface Notice {
  /** The version of the last message; `undefined` when the tenant is gone. */
  version: string | undefined
  hosts: TenantChange['hosts']
}

/** At most one query is made in this time, in ms, however many messages come. */
export const INTERVAL = 250
/** About how many tenants one check asks. */
const MAX_CHECKED = 1_000
/** Of how many tenants it is remembered which version was told. */
const MAX_TOLD = 10_000
/** Of how many hosts it is remembered which have changed hands, for one tenant. */
const MAX_HOSTS = 1_000

/**
 * Messages that tenants have changed. Whoever may connect to the database may send such a message, so it is only a reason to look: what is told is
 * what the table says, once for each version, and messages that come together are checked together.
 */
export class Notices {
  readonly #context: NoticesContext
  readonly #notices = new Map<string, Notice>()
  readonly #told = new LRUCache<string, string>({ max: MAX_TOLD })
  #tooMany = false
  #strange = 0
  #checking = false
  #closed = false
  #timer: NodeJS.Timeout | undefined

  constructor (context: NoticesContext) {
    this.#context = context
  }

  add (payload: string): void {
    const change = read(payload)
    if (change === null) this.#strange++
    else this.#note(change)
    this.check()
  }

  /** Checks what waits to be checked, at once when the last check was long enough ago. */
  check (): void {
    if (this.#checking || this.#isEmpty()) return
    this.#checking = true
    // The messages of one transaction come together.
    this.#timer = setTimeout(() => { this.#checkAll() }, 0)
  }

  close (): void {
    this.#closed = this.#checking = true
    clearTimeout(this.#timer)
  }

  #note ({ id, version, hosts }: TenantChange): void {
    const before = this.#notices.get(id)
    if (before === undefined && this.#notices.size >= MAX_CHECKED) this.#tooMany = true
    else this.#notices.set(id, { version, hosts: before === undefined ? hosts : both(before.hosts, hosts) })
  }

  #isEmpty (): boolean {
    return this.#notices.size === 0 && this.#strange === 0
  }

  async #checkAll (): Promise<void> {
    if (this.#strange > 0) this.#context.onStrange(this.#strange)
    this.#strange = 0
    if (this.#notices.size > 0) await this.#context.ask(query => this.#compare(query))
    if (this.#closed) return
    this.#timer = setTimeout(() => {
      this.#checking = false
      this.check()
    }, INTERVAL)
  }

  /** What cannot be checked, or is heard of again meanwhile, is checked next time. */
  async #compare (query: Query): Promise<void> {
    const notices = new Map(this.#notices)
    for (const state of await this.#context.states(query, [...notices.keys()])) {
      const notice = notices.get(state.id) as Notice
      if (this.#notices.get(state.id) === notice) this.#notices.delete(state.id)
      this.#tell(state, notice)
    }
    if (!this.#tooMany) return
    this.#tooMany = false
    await this.#context.tellAny(query)
  }

  /**
   * A message is true when it says what the table says. Of a tenant that is not there, it must have been told that it was: else
   * anybody could make ids up. Where it may not be true, or the table has moved on, it is not known which hosts have changed hands.
   */
  #tell ({ id, version, active }: TenantChange, notice: Notice): void {
    const told = this.#told.get(id)
    if (version !== undefined && version === told) return
    if (version === undefined) this.#told.delete(id)
    else this.#told.set(id, version)
    const isTrue = notice.version === version && (version ?? told) !== undefined
    this.#context.tell({ id, version, active, ...(isTrue && { hosts: notice.hosts }) })
  }
}

/** `null` for a message that is not of the table. */
function read (payload: string): TenantChange | null {
  try {
    const { id, version, hosts } = JSON.parse(payload)
    return typeof id === 'string' && mayBeId(id) && areHosts(hosts) ? { id, version, hosts } : null
  } catch {
    // It is counted, and told in the log.
    return null
  }
}

function areHosts (hosts: unknown): boolean {
  return hosts === null || hosts === undefined || (Array.isArray(hosts) && hosts.every(host => typeof host === 'string'))
}

/** The hosts of two messages: `undefined` when one does not say which, `null` when they are too many. */
function both (before: Notice['hosts'], hosts: Notice['hosts']): Notice['hosts'] {
  if (before === undefined || hosts === undefined) return undefined
  if (before === null || hosts === null) return null
  const all = new Set([...before, ...hosts])
  return all.size > MAX_HOSTS ? null : [...all]
}
