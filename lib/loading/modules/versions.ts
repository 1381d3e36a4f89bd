const PARAMETER = 'tenant-code'

/** The current code version of each folder, by the folder's URL, which ends with a slash. */
export type Versions = Map<string, number>

/**
 * Adds the folder's version to a module URL. A module imported from the same folder gets the version of its importer, so that a
 * late import uses the same code as the rest of its generation (one load of a tenant). Installed packages get no version.
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

/** Looks up each parent of the URL, so that the cost does not grow with the number of folders. */
function folderOf (versions: Versions, url: string): string | undefined {
  for (let end = url.lastIndexOf('/'); end > 'file://'.length; end = url.lastIndexOf('/', end - 1)) {
    const folder = url.slice(0, end + 1)
    if (versions.has(folder)) return folder
  }
  return undefined
}
