import { FST_TENANT_OPTION_INVALID } from '../errors.ts'

/** Throws FST_TENANT_OPTION_INVALID naming the option when it is not right. */
export function check (right: boolean, name: string, expected: string): void {
  if (!right) throw new FST_TENANT_OPTION_INVALID(name, expected)
}

/** A section of the config, `{}` when there is none. Throws FST_TENANT_OPTION_INVALID for a key that it does not have. */
export function section<Section extends object> (name: string, value: Section | undefined, keys: ReadonlyArray<keyof Section & string>): Section {
  const given: unknown = value ?? {}
  check(value === undefined || isObject(value), name, 'an object')
  checkKeys(given as object, keys, `${name}.`)
  return given as Section
}

/** Throws FST_TENANT_OPTION_INVALID for a key that is none of these. */
export function checkKeys (value: object, keys: readonly string[], prefix = ''): void {
  for (const key of Object.keys(value)) check(keys.includes(key), `${prefix}${key}`, `left out: the keys are ${keys.map(key => prefix + key).join(', ')}`)
}

export function isObject (value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function isText (value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}

export function isTexts (value: unknown): value is string[] {
  return Array.isArray(value) && value.every(isText)
}

export function isCount (value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) > 0
}
