import { readFileSync } from 'node:fs'
import { dirname, extname, resolve } from 'node:path'
import { parse } from 'acorn'
import type { Program } from 'acorn'

/** The position of an error. */
export interface Place {
  /** An absolute path. */
  file: string
  /** Counted from 1. */
  line: number
}

/** The largest number of modules to search. */
const MAX_MODULES = 1_000
/** V8 shows up to 10 characters before an unexpected token. */
const CONTEXT = 10
const PADDING = ' '.repeat(2 * CONTEXT)

/** Returns the place of the first syntax error in an ES module and the modules it imports by path. Synchronous, because it is called while an error is being built. */
export function syntaxErrorPlace (file: string): Place | undefined {
  const files = new Set([file])
  for (const each of files) {
    const text = isJavaScript(each) ? read(each) : undefined
    if (text === undefined) continue
    try {
      for (const specifier of importsOf(parse(text, { ecmaVersion: 'latest', sourceType: 'module', allowHashBang: true }))) {
        if (/^\.{0,2}\//.test(specifier) && files.size < MAX_MODULES) files.add(resolve(dirname(each), specifier))
      }
    } catch (error) {
      return { file: each, line: (error as { loc: { line: number } }).loc.line }
    }
  }
  return undefined
}

/** Returns the line of the first error in a JSON file; 1 if the file has been fixed since. */
export function jsonErrorLine (file: string): number {
  const text = read(file) ?? ''
  try {
    JSON.parse(text)
    return 1
  } catch {
    return text.slice(0, positionIn(text)).split('\n').length
  }
}

/** V8 reports the position of some errors and shows an excerpt for others. With padding, every excerpt has the same shape. */
function positionIn (text: string): number {
  const padded = PADDING + text + PADDING
  try {
    JSON.parse(padded)
    return 0
  } catch (error) {
    const { message } = error as SyntaxError
    const position = / at position (\d+)/.exec(message)?.[1]
    if (position !== undefined) return Number(position) - PADDING.length
    const shown = /\.\.\."(.*)"\.\.\. is/s.exec(message)?.[1]
    return shown === undefined ? text.length : padded.indexOf(shown) + CONTEXT - PADDING.length
  }
}

/** CommonJS (`.cjs`) is left out, because Node reports the position of its errors. */
function isJavaScript (file: string): boolean {
  return ['.js', '.mjs'].includes(extname(file))
}

function read (file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    // The original error already says why the file cannot be read.
    return undefined
  }
}

function importsOf ({ body }: Program): string[] {
  return body.flatMap(node => 'source' in node && typeof node.source?.value === 'string' ? node.source.value : [])
}
