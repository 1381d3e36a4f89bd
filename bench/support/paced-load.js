import { once } from 'node:events'
import { request } from 'node:http'
import { text } from 'node:stream/consumers'
import { setTimeout } from 'node:timers/promises'

/**
 * Sends requests at an even pace, however long the answers take, as many clients do that know nothing of each other: a server that is
 * late gets no pause to recover, and no late answer hides the ones behind it. Resolves when all are answered.
 *
 * @param rate requests per second
 * @param send sends the request of this number, from 0, and resolves when it is answered
 */
export async function sendPaced (rate, seconds, send) {
  const pending = []
  const started = performance.now()
  while (pending.length < rate * seconds) {
    const due = Math.min(rate * seconds, Math.ceil((performance.now() - started) / 1000 * rate))
    while (pending.length < due) pending.push(send(pending.length))
    await setTimeout(1)
  }
  await Promise.all(pending)
}

/** Sends a GET request of a tenant. Returns its status, its body, and the time that it took, in ms. A broken connection has status 0. */
export async function getTimed (agent, url, id) {
  const started = performance.now()
  try {
    const sent = request(url, { agent, headers: { 'x-tenant-id': id } }).end()
    const [response] = await once(sent, 'response')
    const body = await text(response)
    return { status: response.statusCode, body, ms: performance.now() - started }
  } catch (error) {
    return { status: 0, body: error.message, ms: performance.now() - started }
  }
}
