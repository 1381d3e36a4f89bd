import type { ScopeParts } from '../scope/tenant-root.ts'
import type { TenantAppContext } from '../scope/tenant-app.ts'
import type { Refusals } from './refusals.ts'
import type { TenantSlot } from './tenant-slot.ts'

/** The functions behind each tenant's `app`: whether it takes requests, and its end. */
export class TenantFunctions implements TenantAppContext {
  readonly hasLogger: boolean
  readonly #slots: ReadonlyMap<string, TenantSlot>
  readonly #refusals: Refusals

  constructor (slots: ReadonlyMap<string, TenantSlot>, refusals: Refusals, hasLogger: boolean) {
    this.hasLogger = hasLogger
    this.#slots = slots
    this.#refusals = refusals
  }

  /** @throws {FST_TENANT_SUSPENDED} when the app has suspended the tenant */
  admit (id: string): void {
    this.#refusals.admit(id)
  }

  /** Takes the tenant out of service, unless its end has already begun. Resolves when it has ended. */
  async end (id: string, isEnding: boolean): Promise<void> {
    const slot = this.#slots.get(id)
    await (isEnding ? slot?.drained() : slot?.clear())
  }

  /** The functions of a tenant's own scope. */
  ofScope (id: string): Pick<ScopeParts, 'admit' | 'end'> {
    return { admit: () => this.admit(id), end: isEnding => this.end(id, isEnding) }
  }
}
