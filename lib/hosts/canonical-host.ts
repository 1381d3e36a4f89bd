import { isIPv6 } from 'node:net'
import { domainToASCII, domainToUnicode } from 'node:url'

const NAME_AND_PORT = /^([^:]+?)\.?(?::\d{0,5})?$/
const ADDRESS_AND_PORT = /^\[([0-9a-f:.]+)\](?::\d{0,5})?$/i
/** The longest name that DNS allows. It has at most 127 labels. */
export const LONGEST_HOST = 253
/** The longest text that is parsed: a host may have a port, and may be longer before it is converted to punycode. */
const LONGEST_WRITTEN = 1_000
/** Host names have no underscore, but tenant ids may, and browsers accept it. */
const LABEL = /^(?!-)[a-z0-9_-]{1,63}(?<!-)$/
/** A last label that makes the host an IP address. With the base domain `0.0.1`, `127.0.0.1` would name the tenant `127`. */
const NUMERIC_END = /(?:^|\.)(?:\d+|0x[0-9a-f]*)$/
// eslint-disable-next-line no-control-regex -- ASCII begins with the control characters
const ASCII = /^[\x00-\x7f]*$/

/**
 * Returns the canonical form of a host: lower case, without port and trailing dot, in punycode, IPv6 literals compressed and in
 * brackets. `null` if it is not a host. Pass `request.host`, which honours `trustProxy`, instead of a raw header.
 */
export function canonicalHost (host: string): string | null {
  if (host.length > LONGEST_WRITTEN) return null
  return host.startsWith('[') ? canonicalAddress(host) : canonicalName(host)
}

function canonicalAddress (host: string): string | null {
  const address = ADDRESS_AND_PORT.exec(host)?.[1]
  if (address === undefined || !isIPv6(address)) return null
  return new URL(`http://[${address}]`).hostname
}

function canonicalName (host: string): string | null {
  const written = NAME_AND_PORT.exec(host)?.[1]
  if (written === undefined) return null
  const name = toAscii(written)
  return name.length <= LONGEST_HOST && name.split('.').every(isLabel) ? name : null
}

function isLabel (label: string): boolean {
  return LABEL.test(label)
}

/** Returns the name in punycode. Returns the empty string, which is not a valid label, if the conversion is ambiguous. */
function toAscii (name: string): string {
  if (ASCII.test(name)) return name.toLowerCase()
  // Lower-case only ASCII letters: `toLowerCase()` turns the Kelvin sign into an ordinary k.
  const folded = name.replace(/[A-Z]+/g, (letters) => letters.toLowerCase()).normalize('NFC')
  const ascii = domainToASCII(folded)
  // IDNA turns ⓐ and ª into `a`, drops soft hyphens, and reads １２７.1 as an address. Converting back shows such changes,
  // so that a look-alike does not become another name.
  return domainToUnicode(ascii) === folded ? ascii : ''
}

/** Returns the canonical form of a host, or of a wildcard for all hosts below a domain (`*.example.com`). `null` if it is neither. */
export function canonicalPattern (pattern: string): string | null {
  if (!pattern.startsWith('*.')) return canonicalHost(pattern)
  const domain = canonicalDomain(pattern.slice(2))
  return domain === null ? null : `*.${domain}`
}

/** Returns the canonical form of a domain name. `null` for an IP address and for text that is not a host. */
export function canonicalDomain (domain: string): string | null {
  const host = canonicalHost(domain)
  return host === null || host.startsWith('[') || NUMERIC_END.test(host) ? null : host
}

/** Returns the hosts and wildcards that match a host: the host itself, then its wildcards, the longest first. `host` must be in canonical form. */
export function hostPatterns (host: string): string[] {
  const patterns = [host]
  for (let dot = host.indexOf('.'); dot !== -1; dot = host.indexOf('.', dot + 1)) patterns.push(`*${host.slice(dot)}`)
  return patterns
}
