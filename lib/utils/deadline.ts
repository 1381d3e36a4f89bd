/** Waits for `work` at most `ms` milliseconds, then rejects with the result of `error()`. A later result is ignored. */
export async function withDeadline<Result> (work: Promise<Result>, ms: number, error: () => Error): Promise<Result> {
  let timer: NodeJS.Timeout | undefined
  const deadline = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(error()), ms)
  })
  try {
    return await Promise.race([work, deadline])
  } finally {
    clearTimeout(timer)
  }
}
