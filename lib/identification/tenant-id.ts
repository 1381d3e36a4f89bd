import { FST_TENANT_INVALID_ID } from '../errors.ts'

const TENANT_ID = /^[A-Za-z0-9](?:[A-Za-z0-9_-]{0,62})$/

/** Whether a value is fit to be the id of a tenant: 1 to 63 letters, digits, `_` and `-`, the first a letter or a digit. */
export function isTenantId (value: unknown): value is string {
  return typeof value === 'string' && TENANT_ID.test(value)
}

/**
 * The id in what a strategy answered; `null` when it answered with nothing.
 * Throws FST_TENANT_INVALID_ID for everything else, the empty string included, so that a wrong answer is never taken for none.
 */
export function checkTenantId (answer: unknown): string | null {
  if (answer === null || answer === undefined) return null
  if (isTenantId(answer)) return answer
  throw new FST_TENANT_INVALID_ID()
}
