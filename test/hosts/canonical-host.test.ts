import t from 'tap'
import { canonicalHost } from '../../lib/hosts/canonical-host.ts'

const longest = `${'a'.repeat(63)}.${'b'.repeat(63)}.${'c'.repeat(63)}.${'d'.repeat(61)}`

const HOSTS: Array<[written: string, canonical: string]> = [
  ['example.com', 'example.com'],
  ['ACME.Example.COM', 'acme.example.com'],
  ['acme.example.com:8080', 'acme.example.com'],
  ['acme.example.com.', 'acme.example.com'],
  ['ACME.Example.com.:8080', 'acme.example.com'],
  ['example.com:', 'example.com'],
  ['localhost', 'localhost'],
  ['my_app.example.com', 'my_app.example.com'],
  ['__proto__.example.com', '__proto__.example.com'],
  ['127.0.0.1:3000', '127.0.0.1'],
  ['127.1', '127.1'],
  ['xn--4ca.example', 'xn--4ca.example'],
  ['ä.example', 'xn--4ca.example'],
  ['ä.EXAMPLE:80', 'xn--4ca.example'],
  ['a\u0308.example', 'xn--4ca.example'],
  ['faß.de', 'xn--fa-hia.de'],
  ['аcme.com', 'xn--cme-5cd.com'],
  ['[::1]', '[::1]'],
  ['[::1]:3000', '[::1]'],
  ['[0:0:0:0:0:0:0:1]', '[::1]'],
  ['[2001:DB8::A]:443', '[2001:db8::a]'],
  ['[::ffff:127.0.0.1]', '[::ffff:7f00:1]'],
  [`${'a'.repeat(63)}.com`, `${'a'.repeat(63)}.com`],
  [longest, longest],
  [`${longest}.:65535`, longest]
]

const NO_HOSTS = [
  '', '.', '..', ':80', '.:80', 'a..b', '.example.com', 'example.com..', 'example.com:80:80', 'example.com:http', 'example.com:123456', 'example.com:-1',
  '../acme.example.com', 'acme.example.com@evil.com', 'user:pw@example.com', 'http://example.com', 'example.com/x', 'example.com\\x', 'example.com?x', 'example.com#x',
  'acme example.com', ' example.com', 'example.com ', 'example.com\n', 'example.com\0', 'a\0.example.com', 'a.com, b.com', '%61cme.example.com', '*.example.com',
  '-acme.example.com', 'acme-.example.com', `${'a'.repeat(64)}.com`, `${longest}d`, 'a.'.repeat(127) + 'com', 'x'.repeat(5000), `${'a\u0308'.repeat(500)}.com`, `[${'0:'.repeat(2000)}]`,
  '::1', '[::1', '[]', '[::1]x', '[::1].com', '[::1]:x', '[:::1]', '[fe80::1%eth0]', '[127.0.0.1]', '[acme]', '[dead]',
  // Look-alikes that IDNA would map to acme.com, to k.com, or to an address.
  'ⓐcme.com', 'ªcme.com', 'ａｃｍｅ.com', 'ac\u00adme.com', 'acme\u200b.com', 'acme。com', '\u212a.com', '１２７.0.0.1', 'ﬁ.com',
  'ä/b', 'ä b.com', 'ä.xn--a', '\ud800.com', `${'é'.repeat(63)}.com`, 'ä..com'
]

t.test('every spelling of a host has one canonical form', async (t) => {
  for (const [written, canonical] of HOSTS) t.equal(canonicalHost(written), canonical, written)
})

t.test('the canonical form of a canonical host is the host itself', async (t) => {
  for (const [, canonical] of HOSTS) t.equal(canonicalHost(canonical), canonical, canonical)
})

t.test('an invalid host has no canonical form', async (t) => {
  for (const written of NO_HOSTS) t.equal(canonicalHost(written), null, JSON.stringify(written.slice(0, 80)))
})
