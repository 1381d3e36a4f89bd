import { closestMatch } from 'leven'
import { HOSTS_FILE } from '../hosts/hosts-file.ts'
import { isUnimportant } from '../utils/unimportant.ts'
import type { Dirent } from 'node:fs'
import type { IdCheck } from '../utils/tenant-id.ts'
import type { SourceContext } from '../../types/index.ts'

/** Logs a warning for each entry of the tenants' folder that looks like a tenant or a hosts file, but is skipped. Warns once per entry. */
export class SkippedEntries {
  readonly #isId: IdCheck
  #context: SourceContext | undefined
  #warned = new Set<string>()

  constructor (isId: IdCheck) {
    this.#isId = isId
  }

  /** Sets the logger. Until then, nothing is logged. Call this before the folder is read. */
  logTo (context: SourceContext): void {
    this.#context = context
  }

  /** Warns of new skipped entries. Call this with all entries of the folder, and the tenants among them by id. */
  report (entries: readonly Dirent[], ids: ReadonlyMap<string, string>): void {
    if (this.#context === undefined) return
    const reasons = new Map(entries.flatMap(entry => {
      const reason = ids.has(entry.name) ? this.#unreachable(entry.name) : this.#reasonOf(entry)
      return reason === undefined ? [] : [[entry.name, reason]]
    }))
    for (const [file, reason] of reasons) {
      if (!this.#warned.has(file)) this.#context.log.warn({ file }, reason)
    }
    // Forget entries that have disappeared, so that they cause another warning if they come back.
    this.#warned = new Set(reasons.keys())
  }

  #unreachable (id: string): string | undefined {
    return this.#context?.isReachable?.(id) === false ? 'no request can name this tenant: hosts are read in lower case, so write the name of the folder in lower case' : undefined
  }

  #reasonOf (entry: Dirent): string | undefined {
    const { name } = entry
    // A name such as `_shared` says that the folder is not a tenant.
    if (name === HOSTS_FILE || name.startsWith('_') || isUnimportant(name)) return undefined
    if (entry.isFile()) {
      return closestMatch(name.toLowerCase(), [HOSTS_FILE, 'hosts.js', 'hosts.yaml'], { maxDistance: 2 }) === undefined ? undefined : `this file is not read: the hosts of the tenants are in ${HOSTS_FILE}`
    }
    if (this.#isId(name)) return 'this is not a tenant: it is a link to nothing, or to a file'
    return 'this folder is not a tenant: its name must be 1 to 63 letters, digits, _ and -, the first a letter or a digit'
  }
}
