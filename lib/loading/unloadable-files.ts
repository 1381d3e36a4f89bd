import { isUnimportant } from '../utils/unimportant.ts'
import type { FastifyBaseLogger } from 'fastify'

/** Warns about files in `schemas/` and `services/` that are neither modules nor JSON. The names are relative to the tenant's folder. */
export function warnOfUnloadableFiles (log: FastifyBaseLogger, names: readonly string[]): void {
  for (const file of names.filter(name => !name.split('/').some(isUnimportant))) {
    log.warn({ file }, 'this file is not loaded: only modules and JSON files are loaded (.js, .mjs, .cjs, .json)')
  }
}
