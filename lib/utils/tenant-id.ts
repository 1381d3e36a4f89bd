import { FST_TENANT_INVALID_ID } from '../errors.ts'

const TENANT_ID = /^[A-Za-z0-9](?:[A-Za-z0-9_-]{0,62})$/

/** Says whether a value is fit to be the id of a tenant. */
export type IdCheck = (value: unknown) => value is string

/** Whether a value is fit to be the id of a tenant: 1 to 63 letters, digits, `_` and `-`, the first a letter or a digit. */
export function isTenantId (value: unknown): value is string {
  return typeof value === 'string' && TENANT_ID.test(value)
}

/** Whether a value can be told apart as an id at all: any text, at most as long as the name of a file may be. */
export function isAnyId (value: unknown): value is string {
  return typeof value === 'string' && value.length > 0 && value.length <= 255
}

/**
 * The id in what a strategy answered; `null` when it answered with nothing.
 * Throws FST_TENANT_INVALID_ID for everything else, the empty string included, so that a wrong answer is never taken for none.
 */
export function checkTenantId (answer: unknown, isId: IdCheck = isTenantId): string | null {
  if (answer === null || answer === undefined) return null
  if (isId(answer)) return answer
  throw new FST_TENANT_INVALID_ID()
}
