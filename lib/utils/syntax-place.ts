import { readFileSync } from 'node:fs'
import { dirname, extname, resolve } from 'node:path'
import { parse } from 'acorn'
import type { Program } from 'acorn'

/** Where an error is. */
export interface Place {
  /** An absolute path. */
  file: string
  /** Counted from 1. */
  line: number
}

/** How many modules are looked at, at most. */
const MAX_MODULES = 1_000
/** V8 shows 10 characters before a token that it did not expect, where there are as many. */
const CONTEXT = 10
const PADDING = ' '.repeat(2 * CONTEXT)

/** The place of the first syntax error in an ES module, or in what it imports by a path. Read at once: it is asked for by an error on its way. */
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

/** Returns the line of the first error in a JSON file; 1 when the file has been mended since. */
export function jsonErrorLine (file: string): number {
  const text = read(file) ?? ''
  try {
    JSON.parse(text)
    return 1
  } catch {
    return text.slice(0, positionIn(text)).split('\n').length
  }
}

/** V8 says the position of some errors, and shows the text around others. With something around it the text is always cut in the same way. */
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

/** CommonJS is not looked at: Node says where its errors are. */
function isJavaScript (file: string): boolean {
  return ['.js', '.mjs'].includes(extname(file))
}

function read (file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    // The error that is to be placed has said what is wrong.
    return undefined
  }
}

function importsOf ({ body }: Program): string[] {
  return body.flatMap(node => 'source' in node && typeof node.source?.value === 'string' ? node.source.value : [])
}
