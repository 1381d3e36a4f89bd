import assert from 'node:assert/strict'
import { withDeadline } from '../../utils/deadline.ts'
import type { TenantChange, TenantSource } from '../../../types/index.ts'

/** Waits for what a source tells. */
export class ToldChanges {
  /** `undefined` when the source tells nothing. */
  readonly stop: (() => void) | undefined
  readonly #patience: number
  #onChange: (change?: TenantChange) => void = () => {}

  /** @param patience how long a change may take to be told, in ms */
  constructor (source: TenantSource, patience: number) {
    this.#patience = patience
    this.stop = source.watch?.(change => this.#onChange(change), () => [])
  }

  /**
   * Does something, and waits until it is told of this tenant; answers with what was told. That any tenant may have changed will do
   * where one is added or changed.
   */
  async after (work: () => unknown, id: string, active: boolean): Promise<TenantChange | undefined> {
    const told = new Promise<TenantChange | undefined>(resolve => {
      this.#onChange = change => {
        if (change === undefined ? active : change.id === id && (change.active ?? true) === active) resolve(change)
      }
    })
    await work()
    const vain = `In vain waited until ${id} is told as ${active ? 'changed' : 'not active'}`
    return withDeadline(told, this.#patience, () => new assert.AssertionError({ message: vain }))
  }
}
