/** The start of a parameter, a wildcard or an encoded character in a route's URL. */
const VARIABLE = /[:*%]/
/** More than any index in a segment. */
const ALL_TEXT = Number.MAX_SAFE_INTEGER

/** Whether two routes may match the same URL, whatever the router's options for case and slashes. Compares the text before the first parameter, and returns `true` in doubt. */
export function mayOverlap (one: string, other: string): boolean {
  const [a, b] = [fixedPart(one), fixedPart(other)]
  if (!VARIABLE.test(one) && !VARIABLE.test(other)) return a === b
  return a.startsWith(b) || b.startsWith(a)
}

/** Whether two routes match the same URL, segment by segment. Unlike `mayOverlap`, it may miss a pair that differs in the middle of a segment. */
export function meet (one: string, other: string): boolean {
  const [a, b] = [segmentsOf(one), segmentsOf(other)]
  for (let at = 0; at < a.length || at < b.length; at++) {
    const [mine, theirs] = [a[at], b[at]]
    if (mine === undefined || theirs === undefined) return false
    if (mine.includes('*') || theirs.includes('*')) return true
    if (mine !== theirs && !mine.includes(':') && !theirs.includes(':')) return false
  }
  return true
}

/** Whether one route is more exact than another: text where the other has a parameter or a wildcard, or a parameter where the other has a wildcard. */
export function isMoreExact (url: string, than: string): boolean {
  const others = segmentsOf(than)
  for (const [at, segment] of segmentsOf(url).entries()) {
    const difference = exactness(segment) - exactness(others[at] ?? '')
    if (difference !== 0) return difference > 0
  }
  return false
}

/** Whether a route has a parameter or a wildcard. */
export function isVariable (url: string): boolean {
  return url.includes(':') || url.includes('*')
}

/** Returns the length of the text at the start of a segment. A wildcard counts less than a parameter. */
function exactness (segment: string): number {
  const at = segment.search(/[:*]/)
  if (at === -1) return ALL_TEXT
  return segment[at] === '*' ? at - 0.5 : at
}

function segmentsOf (url: string): string[] {
  return url.toLowerCase().replace(/\/+/g, '/').replace(/(?<=.)\/$/, '').split('/')
}

function fixedPart (url: string): string {
  const [fixed] = url.split(VARIABLE, 1) as [string]
  return fixed.toLowerCase().replace(/\/+/g, '/').replace(/\/$/, '')
}
