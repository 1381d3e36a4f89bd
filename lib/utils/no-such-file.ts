/** For what may be missing: `work.catch(noSuchFile)` is `undefined` then, and throws every other error on. */
export function noSuchFile (error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error
}
