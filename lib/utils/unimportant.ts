/** What lies in folders without being meant for anybody: of the system, of archives, of editors, for people and for tools. */
const SYSTEM = /^(?:\..*|__MACOSX|Thumbs\.db|ehthumbs\.db|desktop\.ini|node_modules|.*~)$/i
const FOR_READERS = /^(?:readme|licen[cs]e|changelog|notice|contributing|authors)(?:\..*)?$|\.(?:md|txt|map)$/i
const FOR_TOOLS = /^(?:package(?:-lock)?\.json|tsconfig.*\.json)$|\.d\.[cm]?ts$|\.(?:test|spec)\.[^.]+$/i

/** Whether a file or a folder of this name may be passed over without a word. */
export function isUnimportant (name: string): boolean {
  return SYSTEM.test(name) || FOR_READERS.test(name) || FOR_TOOLS.test(name)
}
