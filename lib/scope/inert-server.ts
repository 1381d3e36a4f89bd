import { EventEmitter } from 'node:events'
import type { Server } from 'node:http'

/**
 * Stands where a tenant's HTTP server would be: it opens and closes nothing, and answers with the address of the app's.
 * Each tenant has its own, so that what listens on it goes with the tenant.
 */
export class InertServer extends EventEmitter {
  readonly #server: Server

  /** @param onUpgradeListener called when something listens for upgrades here */
  constructor (server: Server, onUpgradeListener: () => void) {
    super()
    this.#server = server
    this.on('newListener', event => {
      if (event === 'upgrade') onUpgradeListener()
    })
  }

  get listening (): boolean {
    return this.#server.listening
  }

  address (): ReturnType<Server['address']> {
    return this.#server.address()
  }

  setTimeout (): this {
    return this
  }

  close (done?: () => void): this {
    done?.()
    return this
  }

  closeIdleConnections (): void {}

  closeAllConnections (): void {}
}
