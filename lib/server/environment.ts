import { join } from 'node:path'
import envSchema from 'env-schema'
import { FST_TENANT_CONFIG_INVALID } from '../errors.ts'
import { LOG_LEVELS } from './log-levels.ts'
import type { LogLevel } from '../../types/index.ts'

/** What a server takes from its environment. */
export interface Environment {
  PORT?: number
  HOST?: string
  LOG_LEVEL?: LogLevel
  MAX_CONCURRENT_TENANTS?: number
  TENANTS_PATH?: string
  PLUGINS_PATH?: string
}

const text = { type: 'string', minLength: 1 }
const SCHEMA = {
  type: 'object',
  properties: {
    PORT: { type: 'integer', minimum: 0, maximum: 65_535 },
    HOST: text,
    LOG_LEVEL: { enum: LOG_LEVELS },
    MAX_CONCURRENT_TENANTS: { type: 'integer', minimum: 1 },
    TENANTS_PATH: text,
    PLUGINS_PATH: text
  }
}

/** What env-schema throws. */
type EnvError = Error & { errors?: Array<{ instancePath: string, message?: string, params: { allowedValues?: readonly string[] } }> }

/**
 * The environment's settings, and those of `.env` in `root`, which lose against it and are never put into it. Read with what
 * `@fastify/env` is made of: a Fastify plugin would be read too late for the constructor of a server.
 * Throws FST_TENANT_CONFIG_INVALID naming the variable.
 */
export function readEnvironment (root: string): Environment {
  try {
    // What is in the environment besides is left out. A copy of the schema, since env-schema changes it.
    return envSchema<Environment>({ schema: structuredClone(SCHEMA), dotenv: { path: join(root, '.env') } })
  } catch (cause) {
    const { errors, message } = cause as EnvError
    const reason = errors?.map(({ instancePath, message, params: { allowedValues } }) =>
      `env${instancePath} ${message}${allowedValues === undefined ? '' : `: ${allowedValues.join(', ')}`}`)
    throw new FST_TENANT_CONFIG_INVALID(reason?.join(', ') ?? message, { cause })
  }
}
