import { once } from 'node:events'
import { setImmediate } from 'node:timers/promises'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { plainApp } from './plain-folder.js'

if (!isMainThread) {
  const app = await plainApp(workerData)
  const answers = {
    async inject (request) {
      const { statusCode, headers, payload } = await app.inject(request)
      return { statusCode, headers, payload }
    },
    async heap () {
      globalThis.gc()
      await setImmediate()
      globalThis.gc()
      return process.memoryUsage().heapUsed
    }
  }
  parentPort.on('message', async ({ key, name, question }) => {
    parentPort.postMessage({ key, answer: await answers[name](question) })
  })
  parentPort.postMessage('ready')
}

/** A worker thread with the app of a tenant's folder. */
export class TenantThread {
  #worker
  #key = 0
  #waiting = new Map()

  constructor (dir) {
    this.#worker = new Worker(new URL(import.meta.url), { workerData: dir })
  }

  async ready () {
    await once(this.#worker, 'message')
    this.#worker.on('message', ({ key, answer }) => {
      this.#waiting.get(key)(answer)
      this.#waiting.delete(key)
    })
    return this
  }

  /** What the app's `inject` takes, and of its answer what a reply is made of. */
  inject (request) {
    return this.#ask('inject', request)
  }

  /** Bytes in use in the thread. */
  heap () {
    return this.#ask('heap')
  }

  #ask (name, question) {
    const key = this.#key++
    return new Promise(resolve => {
      this.#waiting.set(key, resolve)
      this.#worker.postMessage({ key, name, question })
    })
  }
}
