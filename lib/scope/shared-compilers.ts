import { isDeepStrictEqual } from 'node:util'
import { LRUCache } from 'lru-cache'
import type { BuildCompiler, Compile } from '../fastify/shapes.ts'

/** How many compilers are remembered, one for each set of shared schemas. Tenants keep using a compiler that is forgotten. */
const MAX_SETS = 32

/** A compiler with this many route schemas gets no new tenants. */
const MAX_SCHEMAS = 500

/** A function that Ajv compiled. `errors` holds the errors of the last input. */
interface Validator {
  (data: unknown, context: unknown): unknown
  errors: unknown
}

/**
 * Builds validator compilers for tenants that come and go. Fastify keeps a compiler for each set of shared schemas, with all that it
 * compiled, until the app closes. Here both can be freed. Tenants with the same schemas share a compiler, unless it could carry data
 * or code from one tenant to another.
 */
export class SharedCompilers {
  readonly #createBuilder: () => BuildCompiler
  readonly #compilers = new LRUCache<string, SharedCompiler>({ max: MAX_SETS })

  /** @param createBuilder returns a builder of Fastify's that has built nothing */
  constructor (createBuilder: () => BuildCompiler) {
    this.#createBuilder = createBuilder
  }

  /** Replaces Fastify's builder in a tenant. */
  readonly build: BuildCompiler = (schemas, options) => {
    const createOwn = (): Compile => this.#createBuilder()(schemas, options)
    const key = isShareable(options) ? cacheKeyOf(schemas) : undefined
    if (key === undefined) return createOwn()
    const known = this.#compilers.get(key)
    if (known !== undefined && !known.isFull) return new TenantCompiler(known, createOwn).compile
    const compiler = new SharedCompiler(this.#createBuilder()(JSON.parse(key), options))
    this.#compilers.set(key, compiler)
    return new TenantCompiler(compiler, createOwn).compile
  }
}

/** Compiles one tenant's schemas: with the shared compiler where that is safe, otherwise with a compiler of its own. */
class TenantCompiler {
  readonly #shared: SharedCompiler
  readonly #createOwn: () => Compile
  #own: Compile | undefined

  constructor (shared: SharedCompiler, createOwn: () => Compile) {
    this.#shared = shared
    this.#createOwn = createOwn
  }

  readonly compile: Compile = route => {
    const key = cacheKeyOf(route.schema)
    if (key !== undefined && !hasId(key)) return ownValidator(this.#shared.compile(key, route), route.schema)
    this.#own ??= this.#createOwn()
    return this.#own(route)
  }
}

/** A compiler that several tenants use. It remembers each validator by its schema. */
class SharedCompiler {
  readonly #compile: Compile
  readonly #compiled = new Map<string, Validator>()

  constructor (compile: Compile) {
    this.#compile = compile
  }

  get isFull (): boolean {
    return this.#compiled.size >= MAX_SCHEMAS
  }

  /** Compiles a copy of the schema, because the tenant may change the original later. */
  compile (key: string, route: { schema: unknown }): Validator {
    const known = this.#compiled.get(key)
    if (known !== undefined) return known
    const compiled = this.#compile({ ...route, schema: JSON.parse(key) }) as Validator
    this.#compiled.set(key, compiled)
    return compiled
  }
}

/** Wraps a shared validator for one tenant. It takes the errors away from the shared one, because they may quote the tenant's input. */
function ownValidator (shared: Validator, schema: unknown): Validator {
  const own = (data: unknown, context: unknown): unknown => {
    const result = shared(data, context)
    validator.errors = shared.errors
    shared.errors = null
    return result
  }
  // Fastify takes coerced input only from Ajv's validators, which it recognizes by `schemaEnv`.
  const validator: Validator = Object.assign(own, { errors: null, schema, schemaEnv: { schema } })
  return validator
}

/** The Ajv options that are plain values, without code or state: https://ajv.js.org/options.html */
const PLAIN_OPTIONS = new Set([
  'strict', 'strictSchema', 'strictNumbers', 'strictTypes', 'strictTuples', 'strictRequired', 'allowUnionTypes', 'allowMatchingProperties',
  'validateFormats', '$data', 'allErrors', 'discriminator', 'removeAdditional', 'useDefaults', 'coerceTypes', 'messages', 'ownProperties',
  'multipleOfPrecision', 'unicodeRegExp', 'int32range', 'nullable'
])

/** Whether tenants may share a compiler with these options: plugins, functions and caches could carry state from one schema to another. */
function isShareable (options: unknown): boolean {
  const { customOptions, plugins, ...more } = options as { customOptions: object, plugins: unknown[] }
  if (plugins.length > 0 || Object.values(more).some(value => value !== undefined)) return false
  return Object.entries(customOptions).every(([name, value]) => name === 'addUsedSchema' ? value === false : PLAIN_OPTIONS.has(name))
}

/** Whether a schema, or a schema inside it, has an `$id`. A compiler keeps such a schema for good, and another tenant may use the same `$id`. */
function hasId (json: string): boolean {
  return json.includes('"$id":')
}

/** Returns a schema's cache key; `undefined` if JSON cannot represent the schema. */
function cacheKeyOf (schema: unknown): string | undefined {
  const json = JSON.stringify(schema)
  return json !== undefined && isDeepStrictEqual(JSON.parse(json), schema) ? json : undefined
}
