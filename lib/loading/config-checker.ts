import fastifyEnv from '@fastify/env'
import envSchema from 'env-schema'
import { FST_TENANT_CONFIG_INVALID, FST_TENANT_OPTION_INVALID } from '../errors.ts'
import type { FastifyInstance } from 'fastify'
import type { TenantConfig } from '../../types/index.ts'

/**
 * Checks a tenant's config and answers with it, its defaults filled in. `dotenv` is the path of the tenant's `.env` file, whose
 * values the config wins over; the file may be missing. Throws FST_TENANT_CONFIG_INVALID.
 */
export type ConfigChecker = (scope: FastifyInstance, config: TenantConfig, dotenv?: string) => Promise<TenantConfig>

type JsonSchema = Record<string, unknown>

/** Not `config`: an app that uses @fastify/env itself has decorated that. */
const DECORATOR = 'fastify-multitenant: checked config'

/**
 * Makes the checker of one JSON schema. What the schema does not mention is kept, unless it says `additionalProperties: false`.
 * The process's environment is never read: it is the app's and not a tenant's.
 * Throws FST_TENANT_OPTION_INVALID when it is not a JSON schema.
 */
export function createConfigChecker (schema: JsonSchema): ConfigChecker {
  const copy = copySchema(schema)
  const keepsOthers = copy['additionalProperties'] !== false
  compile(copy)

  return async function checkConfig (scope, config, dotenv) {
    const checked = await readEnv(scope, {
      confKey: DECORATOR,
      schema: copy,
      data: { ...config },
      env: false,
      dotenv: dotenv === undefined ? false : { path: dotenv }
    })
    return keepsOthers ? { ...config, ...checked } : checked
  }
}

/** @fastify/env changes the schema it gets and keeps what it compiled by the schema's identity: one copy for all tenants. */
function copySchema (schema: JsonSchema): JsonSchema {
  try {
    return structuredClone(schema.valueOf() as JsonSchema)
  } catch (error) {
    throw notSchema(error as Error)
  }
}

/** At boot: were it compiled at each load, every tenant would fail for a mistake in the app. */
function compile (schema: JsonSchema): void {
  try {
    envSchema({ schema, data: {}, env: false })
  } catch (error) {
    // That no config does not fit says that the schema was understood.
    if ((error as EnvError).errors === undefined) throw notSchema(error as Error)
  }
}

function notSchema ({ message }: Error): Error {
  return new FST_TENANT_OPTION_INVALID('configSchema', `a JSON schema: ${message}`)
}

/** Registers @fastify/env in a child of its own, so that its decorators stay out of the tenant's scope. */
async function readEnv (scope: FastifyInstance, options: fastifyEnv.FastifyEnvOptions): Promise<TenantConfig> {
  let checked = {} as TenantConfig
  try {
    await scope.register(async child => {
      await child.register(fastifyEnv, options)
      checked = Reflect.get(child, DECORATOR)
    })
  } catch (error) {
    throw new FST_TENANT_CONFIG_INVALID(reason(error as EnvError), { cause: error })
  }
  return checked
}

/** What @fastify/env throws. */
type EnvError = Error & { errors?: Array<{ instancePath: string, message?: string }> }

function reason ({ errors, message }: EnvError): string {
  return errors?.map(error => `config${error.instancePath} ${error.message}`).join(', ') ?? message
}
