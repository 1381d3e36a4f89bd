import { lstat } from 'node:fs/promises'
import { filesBelow } from '../files-below.ts'
import { isInstalled } from '../is-installed.ts'
import { noSuchFile } from '../../utils/no-such-file.ts'

const MODULE = /\.(?:[cm]?[jt]s|json)$/

/** Changes with every module that is written, added or taken away; installed packages and data apart. */
export async function folderState (dir: string): Promise<string> {
  const paths = (await filesBelow(dir)).filter(path => MODULE.test(path) && !isInstalled(path))
  // What has gone meanwhile does not count.
  const stats = await Promise.all(paths.map(path => lstat(path, { bigint: true }).catch(noSuchFile)))
  const times = stats.filter(stat => stat !== undefined).map(stat => stat.ctimeNs)
  return `${times.length} ${times.reduce((latest, time) => time > latest ? time : latest, 0n)}`
}
