import type { FastifyRequest } from 'fastify'

/**
 * Whether the request has this header more than once. `name` is in lower case.
 * Reads the raw headers, because Node silently keeps only the first `host`, `authorization` and some others.
 */
export function isRepeated (request: FastifyRequest, name: string): boolean {
  const { rawHeaders } = request.raw
  let seen = false
  // Names and values alternate.
  for (let at = 0; at < rawHeaders.length; at += 2) {
    if (rawHeaders[at]?.toLowerCase() !== name) continue
    if (seen) return true
    seen = true
  }
  return false
}
