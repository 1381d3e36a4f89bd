import { asError } from './as-error.ts'
import { isPromiseLike } from './is-promise-like.ts'

/** Called when a function has ended. It failed if there is an error. */
export type End = (error?: unknown) => void

/** Reports an error that no caller receives, with a message for the log. */
export type Report = (error: unknown, message: string) => void

/** A function of the user's code. */
export interface Call {
  run: (done: End) => unknown
  /** Whether the function takes `done`. It has not ended until it calls `done`. */
  takesDone: boolean
}

/**
 * Runs a function that may throw, reject, or call `done` more than once. `end` is called at most once. An error after that call is
 * passed to `report`.
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
