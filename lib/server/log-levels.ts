import type { LogLevel } from '../../types/index.ts'

/** The levels of the log, the rarest first. */
export const LOG_LEVELS: readonly LogLevel[] = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']
