import { copyBuiltIn } from './copy-built-in.ts'

/** Called for what cannot be copied, with its place, as `['pools', 'main']`. Returns what stands in the copy. */
export type OnInstance = (value: object, path: readonly string[]) => unknown

/** Assigned to another object, an own key of this name, which JSON may have, becomes that object's prototype. */
const PROTOTYPE = '__proto__'

/**
 * A copy of plain objects, arrays, maps, sets, dates, regular expressions, URLs, buffers and typed arrays, as deep as they go, without
 * the key `__proto__`. Functions are code, and the same in the copy. Everything else, such as a connection pool or another instance of a
 * class, may have a life of its own: it is the same in the copy, unless `onInstance` decides otherwise.
 */
export function copyPlain<Value> (value: Value, onInstance: OnInstance = instance => instance): Value {
  return new Copier(onInstance).copy(value, []) as Value
}

class Copier {
  readonly #onInstance: OnInstance
  readonly #copies = new Map<object, unknown>()

  constructor (onInstance: OnInstance) {
    this.#onInstance = onInstance
  }

  copy (value: unknown, path: readonly string[]): unknown {
    if (typeof value !== 'object' || value === null) return value
    return this.#copies.has(value) ? this.#copies.get(value) : this.#copyObject(value, path)
  }

  #copyObject (value: object, path: readonly string[]): unknown {
    const prototype: unknown = Object.getPrototypeOf(value)
    switch (prototype) {
      case null:
      case Object.prototype: return this.#copyProperties(value, Object.create(prototype as null), path)
      case Array.prototype: return this.#copyProperties(value, Object.assign([], { length: (value as unknown[]).length }), path)
      case Map.prototype: return this.#copyMap(value as Map<unknown, unknown>, path)
      case Set.prototype: return this.#copySet(value as Set<unknown>, path)
      default: return this.#note(value, copyBuiltIn(value) ?? this.#onInstance(value, path))
    }
  }

  /** Before what is in the value is copied, which may lead back to it. */
  #note<Copy> (value: object, copy: Copy): Copy {
    this.#copies.set(value, copy)
    return copy
  }

  /** A getter stays one, and so reads from the copy. */
  #copyProperties (value: object, copy: object, path: readonly string[]): object {
    this.#note(value, copy)
    for (const key of Reflect.ownKeys(value)) {
      if (key === PROTOTYPE || (key === 'length' && Array.isArray(value))) continue
      const property = Object.getOwnPropertyDescriptor(value, key) as PropertyDescriptor
      const content = property.get === undefined && property.set === undefined
        ? { value: this.copy(property.value, [...path, String(key)]), writable: true }
        : { get: property.get, set: property.set }
      Object.defineProperty(copy, key, { ...content, enumerable: property.enumerable === true, configurable: true })
    }
    return copy
  }

  #copyMap (value: Map<unknown, unknown>, path: readonly string[]): Map<unknown, unknown> {
    const copy = this.#note(value, new Map())
    for (const [key, entry] of value) copy.set(this.copy(key, path), this.copy(entry, [...path, String(key)]))
    return copy
  }

  #copySet (value: Set<unknown>, path: readonly string[]): Set<unknown> {
    const copy = this.#note(value, new Set())
    for (const entry of value) copy.add(this.copy(entry, path))
    return copy
  }
}
