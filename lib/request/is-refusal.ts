/** An error with a 4xx of its own says what is wrong with the request. */
export function isRefusal (error: unknown): error is Error {
  const statusCode = (error as { statusCode?: unknown } | null | undefined)?.statusCode
  return typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500
}
