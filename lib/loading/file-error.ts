/** Fastify's codes, before and after it has made an error of its own, for a plugin that it gave up on. */
const TIMEOUT = 'FST_ERR_PLUGIN_TIMEOUT'
const TIMEOUTS: readonly unknown[] = [TIMEOUT, 'AVV_ERR_PLUGIN_EXEC_TIMEOUT']

/**
 * An error in one of the files of a tenant. The message names the file, relative to the tenant's folder, and the line where that is
 * known; `cause` is the error itself, and `code` is that of the cause.
 */
export class TenantFileError extends Error {
  override readonly name = 'TenantFileError'
  readonly code: unknown

  /** @param place where in the file, as ` (at lib/smtp.js:12)` */
  constructor (name: string, cause: unknown, place = '') {
    super(`${name}: ${reasonOf(cause)}${isTimeout(cause) ? '' : place}`, { cause })
    this.code = isTimeout(cause) ? TIMEOUT : codeOf(cause)
  }
}

/** Whether Fastify gave up on a plugin. */
export function isTimeout (error: unknown): boolean {
  return TIMEOUTS.includes(codeOf(error))
}

function codeOf (error: unknown): unknown {
  return (error as { code?: unknown } | null | undefined)?.code
}

/** Why something failed, in words. Plugins may throw anything. */
export function reasonOf (error: unknown): string {
  if (isTimeout(error)) return 'It did not end in time: a promise is not resolved, or done() is not called'
  return error instanceof Error ? error.message : String(error)
}
