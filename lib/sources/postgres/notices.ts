import { LRUCache } from 'lru-cache'
import { isHosts } from '../../hosts/hosts-file.ts'
import { mayBeId } from './table.ts'
import type { Query } from './connections.ts'
import type { TenantChange } from '../../../types/index.ts'

/** The functions that `Notices` calls. */
export interface NoticesContext {
  /** Runs `work` on the connection that listens. Does not call it if there is no connection. Never rejects. */
  ask (work: (query: Query) => Promise<void>): Promise<void>
  /** Returns the current state of these tenants from the table. */
  states (query: Query, ids: readonly string[]): Promise<TenantChange[]>
  /** Called for each confirmed change. */
  announce (change: TenantChange): void
  /** Called when messages were about too many tenants to remember: any tenant may have changed. */
  announceAny (query: Query): Promise<void>
  /** Called with the number of messages that the table cannot have sent. */
  onForeign (count: number): void
}

/** The content of the messages about one tenant since the last check. */
interface Notice {
  /** The version in the last message. `undefined` if the tenant was deleted. */
  version: string | undefined
  /** The hosts that have changed hands, as in `TenantChange`. */
  hosts: TenantChange['hosts']
}

/** The least time between two checks, in ms, however many messages arrive. */
export const INTERVAL = 250
/** How many tenants one check asks about. */
const MAX_CHECKED = 1_000
/** For how many tenants the last announced version is remembered. */
const MAX_ANNOUNCED = 10_000
/** How many changed hosts are remembered for one tenant. */
const MAX_HOSTS = 1_000

/**
 * Collects messages that tenants have changed, and checks them against the table. Anyone who can connect to the database can send a
 * message, so a message only causes a look at the table. Each version is announced once. Messages that arrive together share a check.
 */
export class Notices {
  readonly #context: NoticesContext
  readonly #notices = new Map<string, Notice>()
  readonly #announced = new LRUCache<string, string>({ max: MAX_ANNOUNCED })
  #tooMany = false
  #foreign = 0
  #checking = false
  #closed = false
  #timer: NodeJS.Timeout | undefined

  constructor (context: NoticesContext) {
    this.#context = context
  }

  /** Takes a message from the channel. */
  add (payload: string): void {
    const change = parse(payload)
    if (change === null) this.#foreign++
    else this.#note(change)
    this.check()
  }

  /** Checks the collected messages: now if the last check was long enough ago, otherwise after `INTERVAL`. */
  check (): void {
    if (this.#checking || this.#isEmpty()) return
    this.#checking = true
    // Collect the messages of one transaction, which arrive together.
    this.#timer = setTimeout(() => { this.#checkAll() }, 0)
  }

  /** Stops all checks. */
  close (): void {
    this.#closed = this.#checking = true
    clearTimeout(this.#timer)
  }

  #note ({ id, version, hosts }: TenantChange): void {
    const before = this.#notices.get(id)
    if (before === undefined && this.#notices.size >= MAX_CHECKED) this.#tooMany = true
    else this.#notices.set(id, { version, hosts: before === undefined ? hosts : mergeHosts(before.hosts, hosts) })
  }

  #isEmpty (): boolean {
    return this.#notices.size === 0 && this.#foreign === 0
  }

  async #checkAll (): Promise<void> {
    if (this.#foreign > 0) this.#context.onForeign(this.#foreign)
    this.#foreign = 0
    if (this.#notices.size > 0) await this.#context.ask(query => this.#compare(query))
    if (this.#closed) return
    this.#timer = setTimeout(() => {
      this.#checking = false
      this.check()
    }, INTERVAL)
  }

  /** A tenant stays in the list if the query fails, or if another message about it arrives meanwhile: the next check takes it. */
  async #compare (query: Query): Promise<void> {
    const notices = new Map(this.#notices)
    for (const state of await this.#context.states(query, [...notices.keys()])) {
      const notice = notices.get(state.id) as Notice
      if (this.#notices.get(state.id) === notice) this.#notices.delete(state.id)
      this.#announce(state, notice)
    }
    if (!this.#tooMany) return
    this.#tooMany = false
    await this.#context.announceAny(query)
  }

  /**
   * Announces the state in the table. The hosts of the message are passed on only if the message is confirmed: it has the version of
   * the table, or reports the deletion of a tenant that was announced before. Otherwise the changed hosts are unknown.
   */
  #announce ({ id, version, active }: TenantChange, notice: Notice): void {
    const announced = this.#announced.get(id)
    if (version !== undefined && version === announced) return
    if (version === undefined) this.#announced.delete(id)
    else this.#announced.set(id, version)
    const isConfirmed = notice.version === version && (version ?? announced) !== undefined
    this.#context.announce({ id, version, active, ...(isConfirmed && { hosts: notice.hosts }) })
  }
}

/** Parses a message. Returns `null` for a message that the table cannot have sent. */
function parse (payload: string): TenantChange | null {
  try {
    const { id, version, hosts } = JSON.parse(payload)
    return typeof id === 'string' && mayBeId(id) && (hosts === null || hosts === undefined || isHosts(hosts)) ? { id, version, hosts } : null
  } catch {
    // `onForeign` reports how many there were.
    return null
  }
}

/** Merges the hosts of two messages: `undefined` if one does not list them, `null` if there are too many. */
function mergeHosts (before: Notice['hosts'], hosts: Notice['hosts']): Notice['hosts'] {
  if (before === undefined || hosts === undefined) return undefined
  if (before === null || hosts === null) return null
  const all = new Set([...before, ...hosts])
  return all.size > MAX_HOSTS ? null : [...all]
}
