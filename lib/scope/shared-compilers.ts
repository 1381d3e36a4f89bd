import { isDeepStrictEqual } from 'node:util'
import { LRUCache } from 'lru-cache'
import type { Build, Compile } from '../fastify/compiler.ts'

/** How many sets of schemas are known that tenants add. What is forgotten goes on for those who have it. */
const MAX_SETS = 32

/** How many schemas of routes one compiler gets, but for those of one tenant. */
const MAX_SCHEMAS = 500

/** What Ajv makes of a schema. The last input and what was wrong with it are properties of the function. */
interface Validator {
  (data: unknown, context: unknown): unknown
  errors: unknown
}

/**
 * Fastify's compilers of schemas, for tenants that come and go. Fastify keeps one for each set of schemas that were added, with all that
 * it ever compiled, for as long as the app lives: here both end. Tenants with the same schemas share what is compiled of them, unless
 * that could carry anything from one to the other.
 */
export class SharedCompilers {
  readonly #makeBuild: () => Build
  readonly #compilers = new LRUCache<string, SharedCompiler>({ max: MAX_SETS })

  /** @param makeBuild answers with a builder of Fastify's that has built nothing */
  constructor (makeBuild: () => Build) {
    this.#makeBuild = makeBuild
  }

  /** What a tenant has in place of Fastify's builder. */
  readonly build: Build = (schemas, options) => {
    const own = (): Compile => this.#makeBuild()(schemas, options)
    const key = keepsNothing(options) ? jsonOf(schemas) : undefined
    if (key === undefined) return own()
    const known = this.#compilers.get(key)
    if (known !== undefined && !known.isFull) return new TenantCompiler(known, own).compile
    const compiler = new SharedCompiler(this.#makeBuild()(JSON.parse(key), options))
    this.#compilers.set(key, compiler)
    return new TenantCompiler(compiler, own).compile
  }
}

/** One tenant's way to a compiler that it shares with others. */
class TenantCompiler {
  readonly #shared: SharedCompiler
  readonly #makeOwn: () => Compile
  #own: Compile | undefined

  constructor (shared: SharedCompiler, makeOwn: () => Compile) {
    this.#shared = shared
    this.#makeOwn = makeOwn
  }

  readonly compile: Compile = route => {
    const key = jsonOf(route.schema)
    if (key !== undefined && !namesSchema(key)) return ownValidator(this.#shared.compile(key, route), route.schema)
    this.#own ??= this.#makeOwn()
    return this.#own(route)
  }
}

class SharedCompiler {
  readonly #compile: Compile
  readonly #compiled = new Map<string, Validator>()

  constructor (compile: Compile) {
    this.#compile = compile
  }

  get isFull (): boolean {
    return this.#compiled.size >= MAX_SCHEMAS
  }

  /** Compiles a copy: a tenant may change its schema later. */
  compile (key: string, route: { schema: unknown }): Validator {
    const known = this.#compiled.get(key)
    if (known !== undefined) return known
    const compiled = this.#compile({ ...route, schema: JSON.parse(key) }) as Validator
    this.#compiled.set(key, compiled)
    return compiled
  }
}

/** A validator of the tenant's own, in front of the one that all share: nobody else finds there what this tenant was sent. */
function ownValidator (shared: Validator, schema: unknown): Validator {
  const own = (data: unknown, context: unknown): unknown => {
    const answer = shared(data, context)
    validator.errors = shared.errors
    shared.errors = null
    return answer
  }
  // By `schemaEnv` Fastify knows a validator of Ajv's, which may put another value in place of its input.
  const validator: Validator = Object.assign(own, { errors: null, schema, schemaEnv: { schema } })
  return validator
}

/** The options of Ajv that change what it makes of a schema, and bring in no code and no state: https://ajv.js.org/options.html */
const PLAIN_OPTIONS = new Set([
  'strict', 'strictSchema', 'strictNumbers', 'strictTypes', 'strictTuples', 'strictRequired', 'allowUnionTypes', 'allowMatchingProperties',
  'validateFormats', '$data', 'allErrors', 'discriminator', 'removeAdditional', 'useDefaults', 'coerceTypes', 'messages', 'ownProperties',
  'multipleOfPrecision', 'unicodeRegExp', 'int32range', 'nullable'
])

/** Whether nothing that the app has added to Ajv can carry anything from one schema to another. */
function keepsNothing (options: unknown): boolean {
  const { customOptions, plugins, ...more } = options as { customOptions: object, plugins: unknown[] }
  if (plugins.length > 0 || Object.values(more).some(value => value !== undefined)) return false
  return Object.entries(customOptions).every(([name, value]) => name === 'addUsedSchema' ? value === false : PLAIN_OPTIONS.has(name))
}

/** Whether a schema, or one inside it, has an `$id`: a compiler knows it by that ever after. */
function namesSchema (json: string): boolean {
  return json.includes('"$id":')
}

/** What tells a schema from all others: `undefined` when JSON does not say all that is in it. */
function jsonOf (schema: unknown): string | undefined {
  const json = JSON.stringify(schema)
  return json !== undefined && isDeepStrictEqual(JSON.parse(json), schema) ? json : undefined
}
