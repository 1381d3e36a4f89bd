/** Returns `undefined` for a missing file and rethrows every other error. Use it as `work.catch(noSuchFile)`. */
export function noSuchFile (error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error
}
