/**
 * The error for the log. Loggers write the messages of an error and of its causes in a row: where a message holds that of its cause, as
 * "services/Mail.js: no smtp" does, the reader would see it twice. The stack of such an error ends with that of its cause instead.
 */
export function saidOnce (error: unknown): unknown {
  if (!(error instanceof Error) || !(error.cause instanceof Error)) return error
  const cause = saidOnce(error.cause) as Error
  if (!error.message.includes(cause.message)) return Object.create(error, { cause: { value: cause } })
  return Object.create(error, { cause: { value: cause.cause }, stack: { value: `${error.stack}\ncaused by: ${cause.stack}` } })
}
