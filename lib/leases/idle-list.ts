/** A member of an `IdleList`. The list itself sets these properties. */
export interface Idling {
  previousIdle: this | undefined
  nextIdle: this | undefined
  isListed: boolean
}

/** The idle generations, the least recently used first. A linked list, so that each request moves its generation in constant time. */
export class IdleList<Member extends Idling> {
  #first: Member | undefined
  #last: Member | undefined

  /** The members, the least recently used first. The current member may be removed meanwhile. */
  * [Symbol.iterator] (): Iterator<Member> {
    for (let member = this.#first; member !== undefined;) {
      const next = member.nextIdle
      yield member
      member = next
    }
  }

  /** Adds a member as the most recently used. It must not be in the list. */
  add (member: Member): void {
    member.isListed = true
    member.previousIdle = this.#last
    if (this.#last === undefined) this.#first = member
    else this.#last.nextIdle = member
    this.#last = member
  }

  /** Removes a member. Does nothing if it is not in the list. */
  remove (member: Member): void {
    if (!member.isListed) return
    const { previousIdle, nextIdle } = member
    if (previousIdle === undefined) this.#first = nextIdle
    else previousIdle.nextIdle = nextIdle
    if (nextIdle === undefined) this.#last = previousIdle
    else nextIdle.previousIdle = previousIdle
    member.previousIdle = member.nextIdle = undefined
    member.isListed = false
  }
}
