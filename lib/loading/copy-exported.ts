import { copyPlain } from './copy-plain.ts'

/**
 * Copies an exported value for one load of one tenant. Other tenants of the folder, and later loads, get the same module from Node.
 * @throws {Error} when the value contains something that cannot be copied, such as a class instance: the tenants would share it
 */
export function copyExported<Value> (value: Value): Value {
  return copyPlain(value, (instance, path) => {
    const where = path.length === 0 ? 'It' : `'${path.join('.')}'`
    throw new Error(`${where} is ${nameOf(instance)}, which all tenants of this folder would share: export a function that makes it`)
  })
}

function nameOf (instance: object): string {
  const { constructor } = instance
  return typeof constructor === 'function' && constructor.name !== '' ? `an instance of ${constructor.name}` : 'an object with its own prototype'
}
