import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'

/** The value in a JSON file, which may begin with a byte order mark as editors on Windows write it. Throws a SyntaxError, and what the file system throws. */
export async function readJson (file: string): Promise<unknown> {
  return parse(await readFile(file, 'utf8'))
}

/** The same, at once. */
export function readJsonSync (file: string): unknown {
  return parse(readFileSync(file, 'utf8'))
}

function parse (text: string): unknown {
  return JSON.parse(text.startsWith('\uFEFF') ? text.slice(1) : text)
}
