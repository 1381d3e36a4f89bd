/** mulberry32: a tiny generator of numbers from 0 to 1 that a seed makes repeatable. */
export function randomNumbers (seed) {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6D2B79F5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}

/** Random choices that depend on the seeds alone, so that whatever runs beside changes none of them. */
export class Chance {
  #next

  constructor (...seeds) {
    this.#next = randomNumbers(seeds.reduce((mixed, seed) => Math.imul(mixed ^ seed, 0x9E3779B1) + 0x85EBCA6B, 1))
  }

  /** From 0 to 1. */
  number () {
    return this.#next()
  }

  /** A whole number from 0 to `limit - 1`. */
  below (limit) {
    return Math.floor(this.#next() * limit)
  }

  happens (probability) {
    return this.#next() < probability
  }

  oneOf (list) {
    return list[this.below(list.length)]
  }

  /** One key of `{ name: weight }`. */
  weighted (weights) {
    let number = this.#next() * Object.values(weights).reduce((sum, weight) => sum + weight, 0)
    for (const [name, weight] of Object.entries(weights)) {
      number -= weight
      if (number < 0) return name
    }
    return Object.keys(weights)[0]
  }
}
