import { isDeepStrictEqual } from 'node:util'
import { LRUCache } from 'lru-cache'

/** How many sets of schemas are known that tenants add. What is forgotten goes on for those who have it. */
const MAX_SETS = 32

/** How many schemas of routes one compiler gets, but for those of one tenant. */
const MAX_SCHEMAS = 500

/** Makes a function of a route's schema: it validates, or it serializes. */
export type Compile = (route: { schema: unknown }) => unknown

/** Makes what compiles from the schemas that routes may refer to. The options are those of the app. */
export type Build = (schemas: unknown, options: unknown) => Compile

/**
 * Fastify's compilers of schemas, for tenants that come and go. Fastify keeps one for each set of schemas that were added, with all that
 * it ever compiled, for as long as the app lives: here both end. Tenants with the same schemas share what is compiled of them.
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
    const key = namesSchemas(options) ? undefined : jsonOf(schemas)
    if (key === undefined) return this.#makeBuild()(schemas, options)
    const known = this.#compilers.get(key)
    if (known !== undefined && !known.isFull) return known.compile
    const compiler = new SharedCompiler(this.#makeBuild()(schemas, options))
    this.#compilers.set(key, compiler)
    return compiler.compile
  }
}

class SharedCompiler {
  readonly #compile: Compile
  readonly #compiled = new Map<string, unknown>()
  #count = 0

  constructor (compile: Compile) {
    this.#compile = compile
  }

  get isFull (): boolean {
    return this.#count >= MAX_SCHEMAS
  }

  readonly compile: Compile = route => {
    const key = jsonOf(route.schema)
    const known = key === undefined ? undefined : this.#compiled.get(key)
    if (known !== undefined) return known
    this.#count++
    const compiled = this.#compile(route)
    if (key !== undefined) this.#compiled.set(key, compiled)
    return compiled
  }
}

/** Whether a compiler takes two schemas of routes with one `$id` for the same: they may be those of two tenants, or of two generations of one. */
function namesSchemas (options: unknown): boolean {
  return (options as { customOptions?: { addUsedSchema?: boolean } }).customOptions?.addUsedSchema === true
}

/** What tells a schema from all others: `undefined` when JSON does not say all that is in it. */
function jsonOf (schema: unknown): string | undefined {
  const json = JSON.stringify(schema)
  return json !== undefined && isDeepStrictEqual(JSON.parse(json), schema) ? json : undefined
}
