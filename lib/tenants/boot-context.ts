import { AsyncLocalStorage } from 'node:async_hooks'
import type { TenantSource } from '../../types/index.ts'

/**
 * The async context that the plugin was registered in. What outlives a request runs here, or it would keep the stores of the request
 * that happened to begin it: the timers of a tenant, those of the request that loaded it.
 */
export class BootContext {
  readonly #snapshot = AsyncLocalStorage.snapshot()

  run<Result> (work: () => Result): Result {
    return this.#snapshot(work)
  }

  /** The same source, asked in this context: what it opens when it is asked first, a connection say, serves all who ask later. */
  wrap (source: TenantSource): TenantSource {
    // In front of a target of its own, because what is frozen must be answered with as it is.
    return new Proxy(Object.create(source) as TenantSource, {
      get: (_target, name) => {
        const value: unknown = Reflect.get(source, name)
        if (typeof value !== 'function') return value
        return (...parameters: unknown[]) => this.run(() => Reflect.apply(value, source, parameters))
      }
    })
  }
}
