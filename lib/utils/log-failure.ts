import type { FastifyBaseLogger } from 'fastify'
import { asError } from './as-error.ts'

/** The keys that say on a log line whom it is about. */
export type Owner = { readonly tenantId: string } | { readonly template: string }

/** Logs an error of a tenant or a template. Never throws, even if the error is frozen or has a getter that throws. */
export function logFailure (log: FastifyBaseLogger, owner: Owner, thrown: unknown, message: string): void {
  try {
    log.error({ err: asError(thrown), ...owner }, message)
  } catch {
    log.error({ err: new Error('The error itself could not be logged'), ...owner }, message)
  }
}

/** Waits for work of a tenant or a template that nobody else waits for, and logs its failure. Never rejects. */
export async function failureLogged (work: Promise<void>, log: FastifyBaseLogger, owner: Owner, message: string): Promise<void> {
  try {
    await work
  } catch (error) {
    logFailure(log, owner, error, message)
  }
}
