/** Whether an error has a 4xx status code. Such an error says what is wrong with the request. */
export function isRefusal (error: unknown): error is Error {
  const statusCode = (error as { statusCode?: unknown } | null | undefined)?.statusCode
  return typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500
}
