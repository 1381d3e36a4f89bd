import assert from 'node:assert/strict'
import { withDeadline } from '../../utils/deadline.ts'
import type { TenantChange, TenantSource } from '../../../types/index.ts'

/** Waits for the changes that a source announces. */
export class AnnouncedChanges {
  /** Stops watching. `undefined` if the source has no `watch`. */
  readonly stop: (() => void) | undefined
  readonly #patience: number
  #onChange: (change?: TenantChange) => void = () => {}

  /** @param patience how long the source may take to announce a change, in ms */
  constructor (source: TenantSource, patience: number) {
    this.#patience = patience
    this.stop = source.watch?.(change => this.#onChange(change), () => [])
  }

  /**
   * Runs `work`, waits until the source announces a change of this tenant, and returns the change. A notification without a tenant is
   * enough if the tenant was added or changed.
   */
  async after (work: () => unknown, id: string, active: boolean): Promise<TenantChange | undefined> {
    const announced = new Promise<TenantChange | undefined>(resolve => {
      this.#onChange = change => {
        if (change === undefined ? active : change.id === id && (change.active ?? true) === active) resolve(change)
      }
    })
    await work()
    const message = `The source did not announce '${id}' as ${active ? 'changed' : 'inactive'} in time`
    return withDeadline(announced, this.#patience, () => new assert.AssertionError({ message }))
  }
}
