import { AsyncLocalStorage } from 'node:async_hooks'
import type { TenantSource } from '../../types/index.ts'

/**
 * The async context in which the plugin was registered. Work that outlives a request runs here. Otherwise it would keep the
 * AsyncLocalStorage stores of the request that started it. A tenant's timers, for example, would see the request that loaded the tenant.
 */
export class BootContext {
  readonly #snapshot = AsyncLocalStorage.snapshot()

  run<Result> (work: () => Result): Result {
    return this.#snapshot(work)
  }

  /** Returns a source whose methods run in this context. A connection that the first call opens also serves all later calls. */
  wrap (source: TenantSource): TenantSource {
    // The target is a new object, because a proxy of a frozen source would have to return the source's own functions.
    return new Proxy(Object.create(source) as TenantSource, {
      get: (_target, name) => {
        const value: unknown = Reflect.get(source, name)
        if (typeof value !== 'function') return value
        return (...parameters: unknown[]) => this.run(() => Reflect.apply(value, source, parameters))
      }
    })
  }
}
