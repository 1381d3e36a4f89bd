import type { FastifyBaseLogger } from 'fastify'
import { asError } from './as-error.ts'

/** Writes an error line about a tenant. Never throws, whatever the error is: it may be frozen, or have a getter that throws. */
export function logFailure (log: FastifyBaseLogger, tenantId: string | undefined, thrown: unknown, message: string): void {
  try {
    log.error({ err: asError(thrown), tenantId }, message)
  } catch {
    log.error({ err: new Error('The error itself could not be logged'), tenantId }, message)
  }
}
