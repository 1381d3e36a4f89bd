import { join } from 'node:path'
import envSchema from 'env-schema'
import { FST_TENANT_CONFIG_INVALID } from '../errors.ts'
import { LOG_LEVELS } from './log-levels.ts'
import type { LogLevel } from '../../types/index.ts'

/** The variables that a server reads from its environment. */
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

/** An error of env-schema. */
type EnvError = Error & { errors?: Array<{ instancePath: string, message?: string, params: { allowedValues?: readonly string[] } }> }

/**
 * Reads the settings from the environment and from `.env` in `root`. The environment wins and is not modified. Uses env-schema, on
 * which @fastify/env is built, because a Fastify plugin would run too late for the server's constructor.
 * @throws {FST_TENANT_CONFIG_INVALID} naming the variable
 */
export function readEnvironment (root: string): Environment {
  try {
    // env-schema drops other variables. It also modifies the schema, so it gets a copy.
    return envSchema<Environment>({ schema: structuredClone(SCHEMA), dotenv: { path: join(root, '.env') } })
  } catch (cause) {
    const { errors, message } = cause as EnvError
    const reason = errors?.map(({ instancePath, message, params: { allowedValues } }) =>
      `env${instancePath} ${message}${allowedValues === undefined ? '' : `: ${allowedValues.join(', ')}`}`)
    throw new FST_TENANT_CONFIG_INVALID(reason?.join(', ') ?? message, { cause })
  }
}
