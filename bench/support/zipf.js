/** Returns a function that draws the numbers below `count`. The n-th comes with a probability of 1 / n ** skew, as a few customers are large and many small. */
export function zipf (count, skew, random) {
  const sums = new Float64Array(count)
  let sum = 0
  for (let n = 0; n < count; n++) sums[n] = sum += 1 / (n + 1) ** skew
  return () => {
    const at = random() * sum
    let low = 0
    let high = count - 1
    while (low < high) {
      const middle = (low + high) >> 1
      if (sums[middle] < at) low = middle + 1
      else high = middle
    }
    return low
  }
}

/** Random numbers that are the same in each run: https://en.wikipedia.org/wiki/Xorshift */
export function makeRandom (seed) {
  let state = seed * 0x9E3779B1 >>> 0
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state = (state ^ (state << 5)) >>> 0
    return state / 2 ** 32
  }
}
