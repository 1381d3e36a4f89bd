import type { FastifyInstance } from 'fastify'
import type { Internals } from './internals.ts'
import type { Constructor } from './shapes.ts'

/** The names of a class's decorators: those with a value, and those that are functions or accessors. */
export interface DecoratorNames {
  values: PropertyKey[]
  methods: PropertyKey[]
}

/** The decorators that a class of requests, or of replies, has beyond those of the app. */
export interface Decorators {
  names: DecoratorNames
  /** Each new object gets these values as properties. */
  values: Constructor['props']
  /** Functions and accessors are properties of this object and of its prototypes. */
  prototype: object
}

/** Compares a class that Fastify made for a child context with that of the app. Returns `undefined` if the child adds no decorators. */
export function decoratorsBeyond (AppClass: Constructor, Own: Constructor): Decorators | undefined {
  // Fastify skips classes without decorators when it makes a child's class, so this one may even be the base of the app's.
  if (Object.prototype.isPrototypeOf.call(Own.prototype, AppClass.prototype)) return undefined
  const values = Own.props.slice(AppClass.props.length)
  // A set, because a nested plugin may use a name again.
  const names = new Set<PropertyKey>()
  for (let prototype = Own.prototype; prototype !== AppClass.prototype; prototype = Object.getPrototypeOf(prototype)) {
    Reflect.ownKeys(prototype).forEach(name => names.add(name))
  }
  names.delete('constructor')
  const methods = [...names]
  if (values.length + methods.length === 0) return undefined
  return { names: { values: values.map(({ key }) => key), methods }, values, prototype: Own.prototype }
}

/** Changes the initial values of request decorators that the app already has, for the requests of one instance. */
export function setRequestDefaults (instance: FastifyInstance, internals: Internals, defaults: Record<string, unknown>): void {
  const Request = internals.get(instance, 'Request')
  // The constructor reads this very array, so its elements are replaced.
  for (const [index, { key }] of Request.props.entries()) {
    if (typeof key === 'string' && Object.hasOwn(defaults, key)) Request.props[index] = { key, value: defaults[key] }
  }
  // Without this flag Fastify skips the class when it makes the classes of child contexts.
  internals.set(Request, 'hasBeenDecorated', true)
}
