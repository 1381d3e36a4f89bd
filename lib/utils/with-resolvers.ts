/** A promise, and the functions that settle it. */
export interface Resolvers<Value> {
  readonly promise: Promise<Value>
  resolve (value: Value): void
  reject (error: Error): void
}

/** Does the same as `Promise.withResolvers()`, which Node has from version 22 on. */
export function withResolvers<Value> (): Resolvers<Value> {
  const settle = {} as Pick<Resolvers<Value>, 'resolve' | 'reject'>
  const promise = new Promise<Value>((resolve, reject) => Object.assign(settle, { resolve, reject }))
  return { promise, ...settle }
}
