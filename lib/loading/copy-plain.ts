import { copyBuiltIn } from './copy-built-in.ts'

/** Called with a value that cannot be copied and its path, for example `['pools', 'main']`. Returns the value to put into the copy. */
export type OnInstance = (value: object, path: readonly string[]) => unknown

/** JSON may contain this key. Assigning it to another object would set that object's prototype. */
const PROTOTYPE = '__proto__'

/**
 * Deeply copies plain objects, arrays, maps, sets, dates, regular expressions, URLs, buffers and typed arrays, without the key
 * `__proto__`. The copy shares functions and class instances, such as connection pools, with the original. `onInstance` may replace
 * the instances.
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
      default: return this.#remember(value, copyBuiltIn(value) ?? this.#onInstance(value, path))
    }
  }

  /** Remembers the copy of a value. Containers call this before they copy their contents, which may refer back to them. */
  #remember<Copy> (value: object, copy: Copy): Copy {
    this.#copies.set(value, copy)
    return copy
  }

  /** Copies accessors as accessors, so that a getter reads from the copy. */
  #copyProperties (value: object, copy: object, path: readonly string[]): object {
    this.#remember(value, copy)
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
    const copy = this.#remember(value, new Map())
    for (const [key, entry] of value) copy.set(this.copy(key, path), this.copy(entry, [...path, String(key)]))
    return copy
  }

  #copySet (value: Set<unknown>, path: readonly string[]): Set<unknown> {
    const copy = this.#remember(value, new Set())
    for (const entry of value) copy.add(this.copy(entry, path))
    return copy
  }
}
