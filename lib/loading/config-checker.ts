import fastifyEnv from '@fastify/env'
import envSchema from 'env-schema'
import { FST_TENANT_CONFIG_INVALID, FST_TENANT_OPTION_INVALID } from '../errors.ts'
import type { FastifyInstance } from 'fastify'
import type { TenantConfig } from '../../types/index.ts'

/**
 * Checks a tenant's config and returns it with its defaults. The config wins over `env`, the values of the tenant's `.env` file.
 * @throws {FST_TENANT_CONFIG_INVALID}
 */
export type ConfigChecker = (config: TenantConfig, env: Readonly<Record<string, string | undefined>>) => TenantConfig

type JsonSchema = Record<string, unknown>

/**
 * Makes a checker from a JSON schema. Keys that the schema does not mention are kept, unless it sets `additionalProperties: false`.
 * The checker never reads the process's environment, which belongs to the app and not to a tenant.
 * @throws {FST_TENANT_OPTION_INVALID} when `schema` is not a JSON schema
 */
export function createConfigChecker (schema: JsonSchema): ConfigChecker {
  const copy = copySchema(schema)
  const keepsOthers = copy['additionalProperties'] !== false
  compile(copy)

  return function checkConfig (config, env) {
    const checked = readEnv({ schema: copy, data: [env, { ...config }], env: false })
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

/** Runs the plugin @fastify/env with a stand-in for an instance: all that the plugin does is to decorate it with the checked values. */
function readEnv (options: fastifyEnv.FastifyEnvOptions): TenantConfig {
  let checked = {} as TenantConfig
  const decorated = {
    decorate: (_name: string, value: TenantConfig) => { checked = value },
    hasDecorator: () => true,
    hasRequestDecorator: () => true
  }
  const plugin = fastifyEnv as unknown as (instance: FastifyInstance, options: object, done: (error?: unknown) => void) => void
  plugin(decorated as unknown as FastifyInstance, options, error => {
    if (error !== undefined) throw new FST_TENANT_CONFIG_INVALID(reason(error as EnvError), { cause: error })
  })
  return checked
}

/** An error of @fastify/env. */
type EnvError = Error & { errors?: Array<{ instancePath: string, message?: string }> }

/** The schema has been compiled at boot, so every error is a list of mismatches. */
function reason ({ errors }: EnvError): string {
  return (errors as NonNullable<EnvError['errors']>).map(error => `config${error.instancePath} ${error.message}`).join(', ')
}
