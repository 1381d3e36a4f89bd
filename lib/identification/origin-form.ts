const ABSOLUTE_FORM = /^https?:\/\/[^/?#]+([/?][^#]*)?$/i

/**
 * Returns the path and query of a request target, `null` if it has no path, like `*`. In the absolute form,
 * `GET http://example.com/x`, Fastify's router sees `/x`, but `request.url` holds the full URL.
 */
export function originForm (target: string): string | null {
  if (target.startsWith('/')) return target
  const absolute = ABSOLUTE_FORM.exec(target)
  if (absolute === null || !URL.canParse(target)) return null
  const path = absolute[1] ?? '/'
  return path.startsWith('/') ? path : `/${path}`
}
