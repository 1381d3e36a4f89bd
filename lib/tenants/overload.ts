import { FST_TENANT_BUSY, FST_TENANT_OVERLOADED } from '../errors.ts'
import { retryAfter } from '../utils/retry-after.ts'

/** The error for a tenant that has too many requests, running or waiting. */
export function busy (id: string): Error {
  return retryAfter(new FST_TENANT_BUSY(id), 1)
}

/** The error for a tenant that cannot be loaded now because too many others are loaded or wait. */
export function overloaded (id: string): Error {
  return retryAfter(new FST_TENANT_OVERLOADED(id), 1)
}
