import { FST_TENANT_INVALID_ID } from '../errors.ts'

const TENANT_ID = /^[A-Za-z0-9](?:[A-Za-z0-9_-]{0,62})$/

/** Checks whether a value is a valid tenant id. */
export type IdCheck = (value: unknown) => value is string

/** Whether a value is a valid tenant id: 1 to 63 letters, digits, `_` and `-`, starting with a letter or a digit. */
export function isTenantId (value: unknown): value is string {
  return typeof value === 'string' && TENANT_ID.test(value)
}

/** Whether a value is text of 1 to 255 characters, the longest file name. Used when ids are not validated. */
export function isAnyId (value: unknown): value is string {
  return typeof value === 'string' && value.length > 0 && value.length <= 255
}

/**
 * Returns a strategy's result if it is an id; `null` if it is `null` or `undefined`.
 * @throws {FST_TENANT_INVALID_ID} for every other value, the empty string included, so that it is not read as "no tenant"
 */
export function checkTenantId (result: unknown, isId: IdCheck = isTenantId): string | null {
  if (result === null || result === undefined) return null
  if (isId(result)) return result
  throw new FST_TENANT_INVALID_ID()
}
