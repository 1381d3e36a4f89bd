import { join, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isInstalled } from './is-installed.ts'
import { jsonErrorLine, syntaxErrorPlace } from '../utils/syntax-place.ts'
import type { Place } from '../utils/syntax-place.ts'

/** Node puts the place of some syntax errors before everything else. */
const HEAD = /^(file:\/\/.+|(?:[a-z]:)?[/\\].+):(\d+)$/i
const FRAME = /^ +at (?:.* \()?(?:async )?((?:file:\/\/|[a-z]:\\|\/)[^()]+):(\d+):\d+\)?$/i
const LIB = join(import.meta.dirname, '..', sep)

/** The place of an error that was thrown while `file` was loaded: in it, or in what it imports. `undefined` where it is not known. */
export function placeOf (error: unknown, file: string): Place | undefined {
  if (!(error instanceof Error)) return undefined
  const [head = '', ...lines] = (error.stack ?? '').split('\n')
  return parsePlace(HEAD.exec(head)) ?? (error instanceof SyntaxError ? syntaxPlace(file) : undefined) ?? framePlace(lines)
}

/** Node does not say where the syntax error of an ES module or a JSON file is. */
function syntaxPlace (file: string): Place | undefined {
  if (!file.endsWith('.json')) return syntaxErrorPlace(file)
  return { file, line: jsonErrorLine(file) }
}

/** The first line of the stack that is not in Node, in a package, or here. */
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
