/** Files and folders that operating systems, archives and editors create. */
const SYSTEM = /^(?:\..*|__MACOSX|Thumbs\.db|ehthumbs\.db|desktop\.ini|node_modules|.*~)$/i
const FOR_READERS = /^(?:readme|licen[cs]e|changelog|notice|contributing|authors)(?:\..*)?$|\.(?:md|txt|map)$/i
const FOR_TOOLS = /^(?:package(?:-lock)?\.json|tsconfig.*\.json)$|\.d\.[cm]?ts$|\.(?:test|spec)\.[^.]+$/i

/** Whether a file or folder of this name can be skipped without a warning. */
export function isUnimportant (name: string): boolean {
  return SYSTEM.test(name) || FOR_READERS.test(name) || FOR_TOOLS.test(name)
}
