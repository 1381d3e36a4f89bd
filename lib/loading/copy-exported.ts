import { copyPlain } from './copy-plain.ts'

/**
 * A copy, for one load of one tenant, of what a module exports as it is. Other tenants of the folder, and later loads, get the same
 * module from Node. Throws an Error for what cannot be copied, such as an instance of a class: they would share it.
 */
export function copyExported<Value> (value: Value): Value {
  return copyPlain(value, (instance, path) => {
    const where = path.length === 0 ? 'It' : `'${path.join('.')}'`
    throw new Error(`${where} is ${nameOf(instance)}, which all tenants of this folder would share: export a function that makes it`)
  })
}

function nameOf (instance: object): string {
  const { constructor } = instance
  return typeof constructor === 'function' && constructor.name !== '' ? `an instance of ${constructor.name}` : 'an object with a prototype of its own'
}
