import fastifyEnv from '@fastify/env'
import envSchema from 'env-schema'
import { FST_TENANT_CONFIG_INVALID, FST_TENANT_OPTION_INVALID } from '../errors.ts'
import type { FastifyInstance } from 'fastify'
import type { TenantConfig } from '../../types/index.ts'

/**
 * Checks a tenant's config and returns it with its defaults. `dotenv` is the path of the tenant's `.env` file, which may be missing.
 * The config wins over the values of that file.
 * @throws {FST_TENANT_CONFIG_INVALID}
 */
export type ConfigChecker = (scope: FastifyInstance, config: TenantConfig, dotenv?: string) => Promise<TenantConfig>

type JsonSchema = Record<string, unknown>

/** The name is not `config`, because an app that uses @fastify/env has that decorator already. */
const DECORATOR = 'fastify-multitenant: checked config'

/**
 * Makes a checker from a JSON schema. Keys that the schema does not mention are kept, unless it sets `additionalProperties: false`.
 * The checker never reads the process's environment, which belongs to the app and not to a tenant.
 * @throws {FST_TENANT_OPTION_INVALID} when `schema` is not a JSON schema
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

/** @fastify/env modifies the schema and caches the compiled validator by object identity, so all tenants use one copy. */
function copySchema (schema: JsonSchema): JsonSchema {
  try {
    return structuredClone(schema.valueOf() as JsonSchema)
  } catch (error) {
    throw notSchema(error as Error)
  }
}

/** Compiles the schema at boot, so that a mistake in it fails the app and not every tenant. */
function compile (schema: JsonSchema): void {
  try {
    envSchema({ schema, data: {}, env: false })
  } catch (error) {
    // A validation error means that the schema compiled: only the empty config did not match.
    if ((error as EnvError).errors === undefined) throw notSchema(error as Error)
  }
}

function notSchema ({ message }: Error): Error {
  return new FST_TENANT_OPTION_INVALID('configSchema', `a JSON schema: ${message}`)
}

/** Registers @fastify/env in a child instance, so that its decorators do not reach the tenant's scope. */
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

/** An error of @fastify/env. */
type EnvError = Error & { errors?: Array<{ instancePath: string, message?: string }> }

function reason ({ errors, message }: EnvError): string {
  return errors?.map(error => `config${error.instancePath} ${error.message}`).join(', ') ?? message
}
