/**
 * A copy of the error for the log, without repeated messages. Loggers join the messages of an error and its causes. If a message
 * contains that of its cause, as in "services/Mail.js: no smtp", the log would show it twice. The stack of such a cause is moved to the end
 * of the error's stack.
 */
export function withoutRepeats (error: unknown): unknown {
  if (!(error instanceof Error) || !(error.cause instanceof Error)) return error
  const cause = withoutRepeats(error.cause) as Error
  if (!error.message.includes(cause.message)) return Object.create(error, { cause: { value: cause } })
  return Object.create(error, { cause: { value: cause.cause }, stack: { value: `${error.stack}\ncaused by: ${cause.stack}` } })
}
