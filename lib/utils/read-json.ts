import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'

/**
 * Reads a JSON file. It may begin with a byte order mark, which editors on Windows write. Throws the errors of the file system.
 * @throws {SyntaxError} when the file is not JSON
 */
export async function readJson (file: string): Promise<unknown> {
  return parse(await readFile(file, 'utf8'))
}

/** The synchronous form of `readJson()`. */
export function readJsonSync (file: string): unknown {
  return parse(readFileSync(file, 'utf8'))
}

function parse (text: string): unknown {
  return JSON.parse(text.startsWith('\uFEFF') ? text.slice(1) : text)
}
