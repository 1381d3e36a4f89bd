/** Reads the replies of one HTTP/1.1 connection as they come, and after an upgrade the text frames. */
export class Replies {
  /** Each as `{ status, headers, body }`, in the order in which they came. */
  list = []
  /** The texts of the WebSocket frames that came after an upgrade. */
  frames = []
  upgraded = false
  /** How many bytes have come. */
  bytes = 0
  #buffer = Buffer.alloc(0)

  /** All that came and has not been read: part of a reply. */
  get rest () {
    return this.#buffer.toString('latin1')
  }

  push (chunk) {
    this.bytes += chunk.length
    this.#buffer = this.#buffer.length === 0 ? chunk : Buffer.concat([this.#buffer, chunk])
    while (this.upgraded ? this.#frame() : this.#reply()) { /* the next one */ }
  }

  #take (from, to) {
    const text = this.#buffer.toString('utf8', from, to)
    this.#buffer = this.#buffer.subarray(to)
    return text
  }

  #reply () {
    const end = this.#buffer.indexOf('\r\n\r\n')
    if (end < 0) return false
    const [first, ...lines] = this.#buffer.toString('latin1', 0, end).split('\r\n')
    const headers = Object.fromEntries(lines.map(line => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]))
    const status = Number(first.split(' ')[1])
    const body = this.#body(end + 4, status, headers)
    if (body === undefined) return false
    this.list.push({ status, headers, body })
    this.upgraded = status === 101
    return true
  }

  /** The body that starts at `start`; `undefined` when some of it is still to come. */
  #body (start, status, headers) {
    if (headers['transfer-encoding'] === 'chunked') return this.#chunks(start)
    const length = status === 101 || status === 204 ? 0 : Number(headers['content-length'] ?? 0)
    return this.#buffer.length < start + length ? undefined : this.#take(start, start + length)
  }

  #chunks (start) {
    let body = ''
    for (let at = start; ;) {
      const end = this.#buffer.indexOf('\r\n', at)
      if (end < 0) return undefined
      const length = parseInt(this.#buffer.toString('latin1', at, end), 16)
      if (this.#buffer.length < end + 4 + length) return undefined
      body += this.#buffer.toString('utf8', end + 2, end + 2 + length)
      at = end + 4 + length
      if (length === 0) {
        this.#take(start, at)
        return body
      }
    }
  }

  #frame () {
    if (this.#buffer.length < 2 || this.#buffer.length < 2 + (this.#buffer[1] & 127)) return false
    const opcode = this.#buffer[0] & 15
    const text = this.#take(2, 2 + (this.#buffer[1] & 127))
    if (opcode === 1) this.frames.push(text)
    return true
  }
}
