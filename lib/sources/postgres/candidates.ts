/** What a row may call a host, the one that counts most first: `shop.acme.example`, `*.acme.example`, `*.example`. */
export function candidatesOf (host: string): string[] {
  const candidates = [host]
  for (let dot = host.indexOf('.'); dot !== -1; dot = host.indexOf('.', dot + 1)) candidates.push(`*${host.slice(dot)}`)
  return candidates
}
