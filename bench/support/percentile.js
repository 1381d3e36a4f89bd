/** The number that this part of some numbers does not pass: `0.99` for p99. */
export function percentile (numbers, part) {
  return [...numbers].sort((a, b) => a - b)[Math.ceil(numbers.length * part) - 1]
}
