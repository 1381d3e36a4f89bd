/** What begins a parameter or a wildcard in the URL of a route, or an encoded character. */
const VARIABLE = /[:*%]/
/** More than the index of anything in a segment. */
const ALL_TEXT = Number.MAX_SAFE_INTEGER

/** Whether two routes may take the same URL, however the app's router reads case and slashes. Compares what comes before the first parameter, and says yes where it is not sure. */
export function mayOverlap (one: string, other: string): boolean {
  const [a, b] = [fixedPart(one), fixedPart(other)]
  if (!VARIABLE.test(one) && !VARIABLE.test(other)) return a === b
  return a.startsWith(b) || b.startsWith(a)
}

/** Whether two routes take the same URL, segment by segment. Unlike `mayOverlap` it may miss a pair that meets in the middle of a segment. */
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

/** Whether a route says more exactly than another what it takes: text where the other has a parameter or a wildcard, or a parameter where it has a wildcard. */
export function isMoreExact (url: string, than: string): boolean {
  const others = segmentsOf(than)
  for (const [at, segment] of segmentsOf(url).entries()) {
    const difference = exactness(segment) - exactness(others[at] ?? '')
    if (difference !== 0) return difference > 0
  }
  return false
}

/** Whether a more exact route is possible. */
export function isVariable (url: string): boolean {
  return url.includes(':') || url.includes('*')
}

/** How much text a segment begins with. A wildcard is less than a parameter. */
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
