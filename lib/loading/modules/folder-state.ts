import { lstat } from 'node:fs/promises'
import { filesBelow } from '../files-below.ts'
import { isInstalled } from '../is-installed.ts'
import { noSuchFile } from '../../utils/no-such-file.ts'

const MODULE = /\.(?:[cm]?[jt]s|json)$/

/** A fingerprint of a folder. It changes when a module is written, added or removed. Installed packages and data do not count. */
export async function folderState (dir: string): Promise<string> {
  const paths = (await filesBelow(dir)).filter(path => MODULE.test(path) && !isInstalled(path))
  // A file may have been deleted since it was listed.
  const stats = await Promise.all(paths.map(path => lstat(path, { bigint: true }).catch(noSuchFile)))
  const times = stats.filter(stat => stat !== undefined).map(stat => stat.ctimeNs)
  return `${times.length} ${times.reduce((latest, time) => time > latest ? time : latest, 0n)}`
}
