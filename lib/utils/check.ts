import { inspect } from 'node:util'
import { closestMatch } from 'leven'
import { FST_TENANT_OPTION_INVALID } from '../errors.ts'

/** The longest delay of a timer, in ms: https://nodejs.org/api/timers.html#settimeoutcallback-delay-args */
const MAX_TIMEOUT = 2 ** 31 - 1

/** @throws {FST_TENANT_OPTION_INVALID} naming the option and its value when `valid` is false */
export function check (valid: boolean, name: string, expected: string, value: unknown): void {
  if (!valid) throw new FST_TENANT_OPTION_INVALID(name, `${expected}, not ${show(value)}`)
}

/** @throws {FST_TENANT_OPTION_INVALID} when `value`, the options or the named `section` of them, has a key that is not in `keys` */
export function checkKeys (value: object, keys: readonly string[], section?: string): void {
  const key = Object.keys(value).find(key => !keys.includes(key))
  if (key === undefined) return
  const nameOf = (key: string): string => section === undefined ? key : `${section}.${key}`
  const known = `options${section === undefined ? '' : ` of ${section}`} are ${keys.join(', ')}`
  const nearest = closestWord(key, keys)
  const hint = nearest === undefined ? `the ${known}` : `did you mean '${nameOf(nearest)}'? The ${known}`
  throw new FST_TENANT_OPTION_INVALID(nameOf(key), `left out: ${hint}`)
}

/** Returns the known word that a mistyped word most likely stands for. At most a third of its letters may differ. */
export function closestWord (word: string, words: readonly string[]): string | undefined {
  return closestMatch(word, words, { maxDistance: Math.ceil(word.length / 3) })
}

/** Whether a value is an object, but not an array, a function or `null`. */
export function isObject (value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function isBoolean (value: unknown): value is boolean {
  return typeof value === 'boolean'
}

export function isText (value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}

export function isTexts (value: unknown): value is string[] {
  return Array.isArray(value) && value.every(isText)
}

/** Whether a value is a whole number, 0 included. */
export function isWhole (value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

export function isCount (value: unknown): value is number {
  return isWhole(value) && value > 0
}

/** Whether a value is a delay that a timer can have, in ms, 0 included. */
export function isTimeout (value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value <= MAX_TIMEOUT
}

/** Formats a value on one line. Objects show only their class, because their contents may be secret. */
function show (value: unknown): string {
  return inspect(value, { depth: Array.isArray(value) ? 0 : -1, maxArrayLength: 5, maxStringLength: 80, breakLength: Infinity })
}
