/**
 * A copy of plain objects and arrays, as deep as they go. Everything else (functions, class instances, connection pools)
 * is the same in the copy: it may have a life of its own.
 */
export function copyPlain<Value> (value: Value, copies: Map<unknown, unknown> = new Map()): Value {
  if (!Array.isArray(value) && !isPlain(value)) return value
  const known = copies.get(value)
  if (known !== undefined) return known as Value
  const copy: unknown[] | Record<string, unknown> = Array.isArray(value) ? [] : {}
  copies.set(value, copy)
  for (const [key, entry] of Object.entries(value)) {
    // Assigning would take the key `__proto__`, which JSON may have, for the prototype.
    Object.defineProperty(copy, key, { value: copyPlain(entry, copies), configurable: true, enumerable: true, writable: true })
  }
  return copy as Value
}

function isPlain (value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}
