const ABSOLUTE_FORM = /^https?:\/\/[^/?#]+([/?][^#]*)?$/i

/**
 * The path and query of a request target. `GET http://example.com/x` is the absolute form, of which Fastify's router sees `/x`
 * while `request.url` has all of it. `null` when the target has no path, as `*` has none.
 */
export function originForm (target: string): string | null {
  if (target.startsWith('/')) return target
  const absolute = ABSOLUTE_FORM.exec(target)
  if (absolute === null || !URL.canParse(target)) return null
  const path = absolute[1] ?? '/'
  return path.startsWith('/') ? path : `/${path}`
}
