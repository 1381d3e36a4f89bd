import type { Constructor } from '../fastify/shapes.ts'

/** How many classes are known. One that is forgotten goes on for the routes that have it. */
const MAX_CLASSES = 100

/** The names that requests, or replies, are decorated with: of values, and of functions and accessors. */
export interface Names {
  values: PropertyKey[]
  methods: PropertyKey[]
}

const NO_NAMES: Names = { values: [], methods: [] }

/** What a tenant decorated its requests, or replies, with. */
export interface Decorations {
  names: Names
  /** Values become properties of each request. */
  values: Constructor['props']
  /** Functions and accessors are found here. */
  prototype: object
}

/**
 * Classes of requests, or of replies: tenants that decorate them with the same names share one. V8 specializes code for the few classes
 * that it meets most, and Fastify makes one for each plugin that decorates.
 */
export class SharedClasses {
  readonly #AppClass: Constructor
  readonly #build: (names: Names) => Constructor
  readonly #known: Array<{ names: Names, Class: Constructor }> = []

  /** @param build makes the class; what its instances are decorated with may differ by no more than values */
  constructor (AppClass: Constructor, build: (names: Names) => Constructor) {
    this.#AppClass = AppClass
    this.#build = build
  }

  /** What a class that Fastify made for a tenant adds to the app's; `undefined` when that is nothing. */
  decorationsOf (Own: Constructor): Decorations | undefined {
    // Fastify passes over classes that nothing was decorated on: this one may be the base of the app's.
    if (Object.prototype.isPrototypeOf.call(Own.prototype, this.#AppClass.prototype)) return undefined
    const values = Own.props.slice(this.#AppClass.props.length)
    // A plugin may decorate with a name that the plugin around it has already.
    const names = new Set<PropertyKey>()
    for (let prototype = Own.prototype; prototype !== this.#AppClass.prototype; prototype = Object.getPrototypeOf(prototype)) {
      Reflect.ownKeys(prototype).forEach(name => names.add(name))
    }
    names.delete('constructor')
    const methods = [...names]
    if (values.length + methods.length === 0) return undefined
    return { names: { values: values.map(({ key }) => key), methods }, values, prototype: Own.prototype }
  }

  /** The class for all who decorate with these names. */
  classFor (names = NO_NAMES): Constructor {
    const known = this.#known.find(other => isEqual(other.names.values, names.values) && isEqual(other.names.methods, names.methods))
    if (known !== undefined) return known.Class
    if (this.#known.length === MAX_CLASSES) this.#known.shift()
    const Class = this.#build(names)
    this.#known.push({ names, Class })
    return Class
  }
}

function isEqual (some: PropertyKey[], others: PropertyKey[]): boolean {
  return some.length === others.length && some.every((name, index) => name === others[index])
}
