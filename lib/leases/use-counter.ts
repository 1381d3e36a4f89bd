/** Counts the uses of all tenants together. Unlike two times, two counts are never equal, so exactly one tenant is the least recently used. */
export class UseCounter {
  #uses = 0

  next (): number {
    return ++this.#uses
  }
}
