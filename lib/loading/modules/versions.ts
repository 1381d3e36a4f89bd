const PARAMETER = 'tenant-code'

/** Which version of the code below a folder is in use: the folders' URLs end with a slash. */
export type Versions = Map<string, number>

/**
 * The URL that a module of a folder with a version is imported by. What imports it from within the folder hands on its own version, so that a
 * generation that imports something late gets it from the code it was built of. Packages installed in the folder have no version.
 */
export function versionedUrl (versions: Versions, url: string, parentUrl: string | undefined): string {
  if (!url.startsWith('file:') || url.includes('/node_modules/')) return url
  const folder = folderOf(versions, url)
  if (folder === undefined) return url
  const version = parentUrl?.startsWith(folder) === true ? new URL(parentUrl).searchParams.get(PARAMETER) : versions.get(folder)
  if (version === null) return url
  const versioned = new URL(url)
  versioned.searchParams.set(PARAMETER, String(version))
  return versioned.href
}

/** Looks the URL's parents up, so that the cost does not grow with the number of folders. */
function folderOf (versions: Versions, url: string): string | undefined {
  for (let end = url.lastIndexOf('/'); end > 'file://'.length; end = url.lastIndexOf('/', end - 1)) {
    const folder = url.slice(0, end + 1)
    if (versions.has(folder)) return folder
  }
  return undefined
}
