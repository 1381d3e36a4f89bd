/** Whether a value has a `then()` method. */
export function isPromiseLike<Value> (value: Value | PromiseLike<Value>): value is PromiseLike<Value> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function'
}
