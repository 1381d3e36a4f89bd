import { closestMatch } from 'leven'
import { isUnimportant } from '../utils/unimportant.ts'
import type { Dirent } from 'node:fs'
import type { IdCheck } from '../utils/tenant-id.ts'
import type { SourceContext } from '../../types/index.ts'

const HOSTS_FILE = 'hosts.json'

/** Says which entries of the folder of all tenants are passed over, each once. */
export class PassedOver {
  readonly #isId: IdCheck
  #context: SourceContext | undefined
  #told = new Set<string>()

  constructor (isId: IdCheck) {
    this.#isId = isId
  }

  /** To be called before the folder is read: nothing is said until then. */
  open (context: SourceContext): void {
    this.#context = context
  }

  /** To be called with all that is in the folder, and the ids of the tenants. */
  note (entries: readonly Dirent[], ids: ReadonlyMap<string, string>): void {
    if (this.#context === undefined) return
    const reasons = new Map(entries.flatMap(entry => {
      const reason = ids.has(entry.name) ? this.#unreachable(entry.name) : this.#reasonOf(entry)
      return reason === undefined ? [] : [[entry.name, reason]]
    }))
    for (const [file, reason] of reasons) {
      if (!this.#told.has(file)) this.#context.log.warn({ file }, reason)
    }
    // One that is gone may come back.
    this.#told = new Set(reasons.keys())
  }

  #unreachable (id: string): string | undefined {
    return this.#context?.isReachable?.(id) === false ? 'no request can name this tenant: a host is read in lower case, so write the name of the folder in lower case' : undefined
  }

  #reasonOf (entry: Dirent): string | undefined {
    const { name } = entry
    // As in `_shared`: it is meant not to be a tenant.
    if (name === HOSTS_FILE || name.startsWith('_') || isUnimportant(name)) return undefined
    if (entry.isFile()) {
      return closestMatch(name.toLowerCase(), [HOSTS_FILE, 'hosts.js', 'hosts.yaml'], { maxDistance: 2 }) === undefined ? undefined : `this file is not read: the hosts of the tenants are in ${HOSTS_FILE}`
    }
    if (this.#isId(name)) return 'this is no tenant: it is a link to nothing, or to a file'
    return 'this folder is no tenant: its name must be 1 to 63 letters, digits, _ and -, the first a letter or a digit'
  }
}
