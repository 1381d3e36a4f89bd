import type { FastifyRequest } from 'fastify'

/**
 * Whether the request carries this header more than once. `name` is in lower case.
 * Only the raw headers show it: of `host`, `authorization` and the like Node keeps the first and drops the others without a word.
 */
export function isRepeated (request: FastifyRequest, name: string): boolean {
  const { rawHeaders } = request.raw
  let seen = false
  // Names and values take turns.
  for (let at = 0; at < rawHeaders.length; at += 2) {
    if (rawHeaders[at]?.toLowerCase() !== name) continue
    if (seen) return true
    seen = true
  }
  return false
}
