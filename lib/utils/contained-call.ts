import { asError } from './as-error.ts'
import { isPromiseLike } from './is-promise-like.ts'

/** Told how a function ended; without an error it did not fail. */
export type End = (error?: unknown) => void

/** Told an error that nobody waits for, and what to say of it. */
export type Report = (error: unknown, message: string) => void

/** A function that somebody else wrote. */
export interface Call {
  run: (done: End) => unknown
  /** Whether the function calls `done`: until it does, it has not ended. */
  takesDone: boolean
}

/**
 * Runs a function that may throw, reject, or call back more than once. `end` is called once. The function may fail after it has
 * called `done`: that is reported.
 */
export function callContained ({ run, takesDone }: Call, end: End, report: Report): void {
  let ended = false
  const finish: End = error => {
    if (ended) return
    ended = true
    end(error)
  }
  const fail = (thrown: unknown): void => {
    if (ended) report(thrown, 'a function failed after it had called done()')
    finish(asError(thrown))
  }
  try {
    const result = run(finish)
    if (isPromiseLike(result)) result.then(() => { if (!takesDone) finish() }, fail)
    else if (!takesDone) finish()
  } catch (thrown) {
    fail(thrown)
  }
}
