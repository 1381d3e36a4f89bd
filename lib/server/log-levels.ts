import type { LogLevel } from '../../types/index.ts'

/** The log levels, from the most severe to the least. `silent` logs nothing. */
export const LOG_LEVELS: readonly LogLevel[] = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']
