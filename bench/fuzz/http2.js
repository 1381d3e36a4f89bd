import { connect, constants } from 'node:http2'
import { setImmediate } from 'node:timers/promises'
import { checkReply, describe, makeRequest } from './requests.js'

/** One HTTP/2 session: some requests at a time, with slow bodies and streams that the client gives up. */
export async function multiplex (chance, action, world, host) {
  const requests = Array.from({ length: 1 + chance.below(8) }, () => makeRequest(chance, action, world, host))
  world.counts.requests += requests.length
  const session = connect(`http://127.0.0.1:${host.port}`)
  session.on('error', () => {})
  const closed = new Promise(resolve => session.on('close', resolve))
  const dropsAll = chance.happens(0.05)
  const streams = requests.map(request => exchange(session, request, chance, world, dropsAll))
  if (dropsAll) {
    world.counts.aborted += requests.length
    await turns(chance.below(20))
    session.destroy()
  }
  await Promise.all(streams)
  session.close()
  await closed
}

async function exchange (session, request, chance, world, dropsAll) {
  const leaves = chance.happens(0.1)
  if (leaves) world.counts.aborted++
  const { 'content-length': _length, ...headers } = request.headers
  const stream = session.request({ ':method': request.method, ':path': request.url, ...headers }, { endStream: request.body === '' })
  const reply = { status: undefined, headers: {}, body: '' }
  const patience = setTimeout(() => {
    world.findings.note('noReply', request.action, `HTTP/2, in ${world.patience} ms: ${describe(request)}`)
    stream.close(constants.NGHTTP2_CANCEL)
  }, world.patience)
  const closed = new Promise(resolve => stream.on('close', resolve))
  stream.on('error', () => {})
  stream.on('response', ({ ':status': status, ...headers }) => Object.assign(reply, { status, headers }))
  stream.setEncoding('utf8').on('data', chunk => { reply.body += chunk })
  let ended = false
  stream.on('end', () => { ended = true })
  if (request.body !== '') await sendSlowly(stream, request.body, chance)
  if (leaves) {
    await turns(chance.below(20))
    stream.close(constants.NGHTTP2_CANCEL)
  }
  await closed
  clearTimeout(patience)
  const partial = leaves || dropsAll
  if (ended && reply.status !== undefined) return checkReply(request, reply, world, partial)
  if (!partial && request.kind !== 'failing') world.findings.note('wrongReply', request.action, `HTTP/2, cut: ${describe(request)}`)
}

async function sendSlowly (stream, body, chance) {
  const half = Math.floor(body.length / 2)
  stream.write(body.slice(0, half))
  await turns(chance.below(6))
  if (!stream.destroyed) stream.end(body.slice(half))
}

async function turns (count) {
  for (let turn = count; turn > 0; turn--) await setImmediate()
}
