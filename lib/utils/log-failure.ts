import type { FastifyBaseLogger } from 'fastify'
import { asError } from './as-error.ts'

/** Logs an error of a tenant. Never throws, even if the error is frozen or has a getter that throws. */
export function logFailure (log: FastifyBaseLogger, tenantId: string | undefined, thrown: unknown, message: string): void {
  try {
    log.error({ err: asError(thrown), tenantId }, message)
  } catch {
    log.error({ err: new Error('The error itself could not be logged'), tenantId }, message)
  }
}
