/** Fastify reports a plugin timeout with this code. Its loader, avvio, reports the same timeout with a code of its own. */
const TIMEOUT = 'FST_ERR_PLUGIN_TIMEOUT'
const TIMEOUTS: readonly unknown[] = [TIMEOUT, 'AVV_ERR_PLUGIN_EXEC_TIMEOUT', 'FST_ERR_HOOK_TIMEOUT']

/**
 * An error in a tenant's file. The message names the file, relative to the tenant's folder, and the line if it is known.
 * `cause` is the original error, and `code` is the code of that error.
 */
export class TenantFileError extends Error {
  override readonly name = 'TenantFileError'
  readonly code: unknown

  /** @param place the position of the error, for example ` (at lib/smtp.js:12)` */
  constructor (name: string, cause: unknown, place = '') {
    super(`${name}: ${reasonOf(cause)}${isTimeout(cause) ? '' : place}`, { cause })
    this.code = isTimeout(cause) ? TIMEOUT : codeOf(cause)
  }
}

/** The error of a load that takes too long outside Fastify: it counts as a plugin timeout. */
export function loadTimeoutError (): Error {
  return Object.assign(new Error('It did not finish in time'), { code: TIMEOUT })
}

/** Whether the error is Fastify's timeout for a plugin or a hook. */
export function isTimeout (error: unknown): boolean {
  return TIMEOUTS.includes(codeOf(error))
}

function codeOf (error: unknown): unknown {
  return (error as { code?: unknown } | null | undefined)?.code
}

/** The message of a thrown value. Plugins may throw values that are not errors. */
export function reasonOf (error: unknown): string {
  if (isTimeout(error)) return 'It did not finish in time: a promise is not resolved, or done() is not called'
  return error instanceof Error ? error.message : String(error)
}
