import { connect } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import { Replies } from './replies.js'
import { checkReply, describe, makeRequest, marksOf } from './requests.js'
import { hasWebSocket } from './tenants.js'

const UPGRADE = { connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': '13', 'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==' }

/**
 * One connection: some requests in one write or in pieces, an upgrade behind them now and then, and a client that may leave at any
 * moment, or stay until it has all replies.
 */
export async function converse (chance, action, world, host) {
  const requests = Array.from({ length: chance.weighted({ 1: 4, 2: 2, 4: 2, 8: 2 }) }, () => makeRequest(chance, action, world, host))
  const upgrade = chance.happens(0.08) ? upgradeOf(chance, action, world, host) : undefined
  // Alone, or behind requests that are not answered yet.
  if (upgrade !== undefined && (!world.has('pipelined upgrades') || chance.happens(0.3))) requests.length = 0
  if (upgrade !== undefined) requests.push(upgrade)
  world.counts.requests += requests.length

  const leaves = chance.happens(0.12) ? chance.oneOf(['headers', 'body', 'handler', 'reply']) : undefined
  if (leaves !== undefined) world.counts.aborted++
  // One that goes on for long after its client has left.
  if (leaves === 'handler') requests.at(-1).headers['x-turns'] = '40'
  const socket = connect(host.port, '127.0.0.1')
  const replies = new Replies()
  await new Promise(resolve => {
    const patience = setTimeout(() => {
      world.findings.note('noReply', action, `${replies.list.length} of ${requests.length} replies in ${world.patience} ms: ${requests.map(describe).join('; ')}`)
      socket.destroy()
    }, world.patience)
    const afterBytes = leaves === 'reply' ? 1 + chance.below(400) : Infinity
    socket.on('data', chunk => {
      replies.push(chunk)
      const complete = upgrade === undefined ? replies.list.length === requests.length : replies.frames.length > 0 || replies.list.at(-1)?.status !== 101
      if (replies.bytes >= afterBytes || (complete && replies.list.length >= requests.length)) socket.destroy()
    })
    socket.on('error', () => {})
    socket.on('close', () => {
      clearTimeout(patience)
      resolve()
    })
    send(socket, requests, chance, leaves)
  })
  check(requests, replies, { upgrade, leaves, action, world })
  if (leaves === 'handler' && chance.happens(0.2)) await host.app.multitenant.unload(requests.at(-1).id)
}

function upgradeOf (chance, action, world, host) {
  const request = makeRequest(chance, action, world, host)
  const index = hasWebSocket(request.index) ? request.index : 1
  return { ...request, kind: 'upgrade', id: `tenant-${index}`, index, method: 'GET', url: `/ws?n=${action}`, headers: { ...UPGRADE, 'x-tenant-id': `tenant-${index}`, 'x-action': String(action) }, body: '' }
}

async function send (socket, requests, chance, leaves) {
  const wire = requests.map(write).join('')
  const head = wire.lastIndexOf('\r\n\r\n') + 4
  // In the middle of the last request's head, or of its body where it has one.
  const end = leaves === 'headers' ? head - 2 - chance.below(20) : leaves === 'body' ? head + Math.floor((wire.length - head) / 2) : wire.length
  const pieces = chance.happens(0.3) ? 2 + chance.below(4) : 1
  for (let piece = 0; piece < pieces && !socket.destroyed; piece++) {
    socket.write(wire.slice(Math.floor(end * piece / pieces), Math.floor(end * (piece + 1) / pieces)))
    if (pieces > 1) await turns(chance.below(6))
  }
  if (leaves === undefined || leaves === 'reply') return
  await turns(chance.below(20))
  if (chance.happens(0.5)) socket.destroy()
  else socket.resetAndDestroy()
}

async function turns (count) {
  for (let turn = count; turn > 0; turn--) await setImmediate()
}

function write ({ method, url, headers, body }) {
  return `${method} ${url} HTTP/1.1\r\nhost: localhost\r\n${Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n${body}`
}

function check (requests, replies, { upgrade, leaves, action, world }) {
  const text = replies.rest + replies.frames.join(' ')
  const ids = new Set(requests.map(({ id }) => id))
  const other = marksOf(text).find(mark => !ids.has(mark.split('#')[0]))
  if (other !== undefined) world.findings.note('crossTalk', action, `${other} in ${text.slice(0, 400)}, asked for by ${requests.map(describe).join('; ')}`)

  if (upgrade !== undefined) checkUpgrade(upgrade, requests, replies, action, world)
  // An upgrade takes the connection out of HTTP, and the replies before it may be lost with it.
  const plain = upgrade === undefined ? replies.list : []
  plain.forEach((reply, index) => checkReply(requests[index], reply, world))
  const cut = plain.length < requests.length && upgrade === undefined && leaves === undefined
  const failing = requests.slice(plain.length).some(({ kind }) => kind === 'failing')
  if (cut && !failing) world.findings.note('wrongReply', action, `cut after ${plain.length} replies: ${requests.map(describe).join('; ')}`)
}

function checkUpgrade ({ id, suspended, host }, requests, { list, frames, upgraded }, action, world) {
  for (const frame of frames) {
    if (frame.split('#')[0] !== id) world.findings.note('crossTalk', action, `the WebSocket of ${id} was sent ${frame}`)
  }
  if (upgraded) world.counts.upgraded++
  if (upgraded && suspended !== undefined && suspended === host.suspensions.get(id)) world.findings.note('suspendedServed', action, `a WebSocket of ${id}`)
  // A request before it may have been told to fail.
  const mayFail = requests.some(({ kind }) => kind === 'failing')
  for (const reply of list) {
    if (reply.status === 500 && !mayFail) world.findings.note('wrongReply', action, `${reply.status} ${reply.body}`)
  }
}
