import { isDeepStrictEqual } from 'node:util'
import { decoratorsBeyond } from '../fastify/decorators.ts'
import type { DecoratorNames, Decorators } from '../fastify/decorators.ts'
import type { Constructor } from '../fastify/shapes.ts'

/** How many classes are remembered. Routes keep using a class that is forgotten. */
const MAX_CLASSES = 100

const NO_NAMES: DecoratorNames = { values: [], methods: [] }

/**
 * Classes of requests, or of replies. Tenants whose decorators have the same names share one class. V8 optimizes code for the few
 * classes that it sees most often, and Fastify makes one for each plugin that adds decorators.
 */
export class SharedClasses {
  readonly #AppClass: Constructor
  readonly #create: (names: DecoratorNames) => Constructor
  readonly #known: Array<{ names: DecoratorNames, Class: Constructor }> = []

  /** @param create makes a class for decorators with these names, whatever their values */
  constructor (AppClass: Constructor, create: (names: DecoratorNames) => Constructor) {
    this.#AppClass = AppClass
    this.#create = create
  }

  /** Returns the decorators that a tenant's class has beyond those of the app; `undefined` if it has none. */
  decoratorsOf (Own: Constructor): Decorators | undefined {
    return decoratorsBeyond(this.#AppClass, Own)
  }

  /** Returns the class for decorators with these names. */
  classFor (names = NO_NAMES): Constructor {
    const known = this.#known.find(other => isDeepStrictEqual(other.names, names))
    if (known !== undefined) return known.Class
    if (this.#known.length === MAX_CLASSES) this.#known.shift()
    const Class = this.#create(names)
    this.#known.push({ names, Class })
    return Class
  }
}
