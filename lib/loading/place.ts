import { join, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isInstalled } from './is-installed.ts'
import { jsonErrorLine, syntaxErrorPlace } from '../utils/syntax-place.ts'
import type { Place } from '../utils/syntax-place.ts'

/** Node puts the position of some syntax errors on the first line of the stack. */
const HEAD = /^(file:\/\/.+|(?:[a-z]:)?[/\\].+):(\d+)$/i
const FRAME = /^ +at (?:.* \()?(?:async )?((?:file:\/\/|[a-z]:\\|\/)[^()]+):(\d+):\d+\)?$/i
const LIB = join(import.meta.dirname, '..', sep)

/** The file and line of an error that was thrown while `file` was loaded; `undefined` if they are not known. */
export function placeOf (error: unknown, file: string): Place | undefined {
  if (!(error instanceof Error)) return undefined
  const [head = '', ...lines] = (error.stack ?? '').split('\n')
  return parsePlace(HEAD.exec(head)) ?? (error instanceof SyntaxError ? syntaxPlace(file) : undefined) ?? framePlace(lines)
}

/** Finds a syntax error in an ES module or a JSON file, because Node does not report its position. */
function syntaxPlace (file: string): Place | undefined {
  if (!file.endsWith('.json')) return syntaxErrorPlace(file)
  return { file, line: jsonErrorLine(file) }
}

/** The first stack frame outside Node, installed packages and this library. */
function framePlace (lines: readonly string[]): Place | undefined {
  for (const line of lines) {
    const place = parsePlace(FRAME.exec(line))
    if (place !== undefined && !isInstalled(place.file) && !place.file.startsWith(LIB)) return place
  }
  return undefined
}

function parsePlace (match: RegExpExecArray | null): Place | undefined {
  if (match === null) return undefined
  const [, file = '', line] = match
  return { file: file.startsWith('file:') ? fileURLToPath(file) : file, line: Number(line) }
}
