import { isIPv6 } from 'node:net'
import { domainToASCII, domainToUnicode } from 'node:url'

const NAME_AND_PORT = /^([^:]+?)\.?(?::\d{0,5})?$/
const ADDRESS_AND_PORT = /^\[([0-9a-f:.]+)\](?::\d{0,5})?$/i
/** As long as DNS lets a name be: so it has at most 127 labels. */
export const LONGEST_HOST = 253
/** With a port, or in letters that become fewer in punycode. What is longer is not looked into. */
const LONGEST_WRITTEN = 1_000
/** The underscore is no letter of host names, but a good one of tenant ids, and browsers take it. */
const LABEL = /^(?!-)[a-z0-9_-]{1,63}(?<!-)$/
/** A last label that makes the host an IP address: below `0.0.1`, `127.0.0.1` would be a tenant. */
const NUMERIC_END = /(?:^|\.)(?:\d+|0x[0-9a-f]*)$/
// eslint-disable-next-line no-control-regex -- ASCII begins with the control characters
const ASCII = /^[\x00-\x7f]*$/

/**
 * The one spelling of a host: lower case, without port and trailing dot, in punycode, IPv6 literals compressed and in brackets.
 * `null` when it is no host. Give it `request.host`: a raw header may be the word of anybody.
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

/** The empty string, which no label may be, when there is no one way to write the name in ASCII. */
function toAscii (name: string): string {
  if (ASCII.test(name)) return name.toLowerCase()
  // Only the ASCII letters: the lower case of the Kelvin sign is an ordinary k.
  const folded = name.replace(/[A-Z]+/g, (letters) => letters.toLowerCase()).normalize('NFC')
  const ascii = domainToASCII(folded)
  // The way back shows what IDNA changed. It makes an `a` of ⓐ and ª, drops soft hyphens, and reads １２７.1 as an address:
  // a look-alike must not become another name.
  return domainToUnicode(ascii) === folded ? ascii : ''
}

/** A host, or `*.` and the domain whose hosts are meant, in its one spelling; `null` when it is neither. */
export function canonicalPattern (pattern: string): string | null {
  if (!pattern.startsWith('*.')) return canonicalHost(pattern)
  const domain = canonicalDomain(pattern.slice(2))
  return domain === null ? null : `*.${domain}`
}

/** A domain name in its one spelling; `null` for an address and for what is no host. */
export function canonicalDomain (domain: string): string | null {
  const host = canonicalHost(domain)
  return host === null || host.startsWith('[') || NUMERIC_END.test(host) ? null : host
}

/** What may name this host in a tenant's `hosts`: itself, then the wildcards above it, the longest first. `host` is in its one spelling. */
export function hostPatterns (host: string): string[] {
  const patterns = [host]
  for (let dot = host.indexOf('.'); dot !== -1; dot = host.indexOf('.', dot + 1)) patterns.push(`*${host.slice(dot)}`)
  return patterns
}
