/** Counts the uses of all tenants together. Unlike times, two counts are never equal, so the least recently used tenant is always certain. */
export class UseCounter {
  #uses = 0

  next (): number {
    return ++this.#uses
  }
}
