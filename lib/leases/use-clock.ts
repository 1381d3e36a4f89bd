/** Counts the uses of all tenants: which of two was used last is never a tie. */
export class UseClock {
  #uses = 0

  next (): number {
    return ++this.#uses
  }
}
