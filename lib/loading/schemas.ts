import { parse } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { isObject } from '../utils/check.ts'
import { copyPlain } from './copy-plain.ts'
import { importModule, namedExports } from './modules/modules.ts'
import type { FastifyInstance } from 'fastify'
import type { TenantFolder } from './folder.ts'
import type { ModuleExports } from './modules/modules.ts'

type Schema = Record<string, unknown> & { $id: string }

/** An object without any of these keywords is treated as a mistake, not as a schema. */
const KEYWORDS = [
  'type', 'properties', 'items', 'prefixItems', '$ref', '$dynamicRef', '$recursiveRef', 'enum', 'const', 'allOf', 'anyOf', 'oneOf', 'not',
  'if', 'then', 'else', '$defs', 'definitions', 'required', 'additionalProperties', 'patternProperties', 'propertyNames',
  'unevaluatedProperties', 'unevaluatedItems', 'dependencies', 'dependentRequired', 'dependentSchemas', 'minProperties',
  'maxProperties', 'contains', 'additionalItems', 'minItems', 'maxItems', 'uniqueItems', 'format', 'pattern', 'minLength',
  'maxLength', 'minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf', 'nullable', 'discriminator'
]

/** A schema and the file that exports it. */
interface Found { file: string, schema: Schema }

/**
 * Adds the schemas of the folder `schemas/` to the tenant's scope.
 * @throws {Error} naming the file that failed, or two files with different schemas of one `$id`
 */
export async function addSchemas (scope: FastifyInstance, folder: TenantFolder): Promise<void> {
  const added = new Map<string, Found>()
  const paths = await folder.modulesAndJson('schemas', scope.log)
  const read = await Promise.all(paths.map(async file => ({ file, schemas: await folder.inFile(file, () => readSchemas(file)) })))
  for (const { file, schemas } of read) {
    for (const schema of schemas) {
      const other = added.get(schema.$id)
      if (other === undefined) await folder.inFile(file, () => { scope.addSchema(schema) })
      else if (!isDeepStrictEqual(other.schema, schema)) throw conflict(folder, other, { file, schema })
      added.set(schema.$id, { file, schema })
    }
  }
}

function conflict (folder: TenantFolder, one: Found, other: Found): Error {
  const names = [...new Set([one.file, other.file])].map(file => folder.nameOf(file))
  return new Error(`Two different schemas '${other.schema.$id}': ${names.length > 1 ? names.join(' and ') : `both in ${names[0]}`}`)
}

async function readSchemas (file: string): Promise<Schema[]> {
  const module = await importModule(file)
  const exported = withoutNamed(module)
  const several = isSchemaCollection(exported) ? Object.entries(exported) : []
  const single: Array<[string, unknown]> = exported === undefined || several.length > 0 ? [] : [[parse(file).name, exported]]
  const others = namedExports(module).filter(([name, value]) => !isMirrored(exported, name, value))
  const found = [...single, ...several, ...others]
  const [only] = found
  if (only === undefined) throw new Error('It does not export a schema')
  if (found.length === 1) return toSchemas(parse(file).name, only[1])
  return found.flatMap(([name, value]) => toSchemas(name, value))
}

/** The default export. Schemas that are also exported by name are removed from an array. */
function withoutNamed (module: ModuleExports): unknown {
  const exported = module['default']
  if (!Array.isArray(exported)) return exported
  const named = namedExports(module).map(([, value]) => value)
  const others = exported.filter(schema => !named.includes(schema))
  return others.length === 0 && exported.length > 0 ? undefined : others
}

/** Whether a default export holds several schemas by name, for example `module.exports = { user, order }`. */
function isSchemaCollection (exported: unknown): exported is Record<string, unknown> {
  return isObject(exported) && !isSchema(exported) && Object.keys(exported).length > 0 && Object.values(exported).every(isSchema)
}

/** Whether a named export repeats a property of `module.exports`: Node adds such exports for CommonJS modules. */
function isMirrored (exported: unknown, name: string, value: unknown): boolean {
  return isObject(exported) && exported[name] === value
}

function toSchemas (name: string, exported: unknown): Schema[] {
  if (!Array.isArray(exported)) return [toSchema(name, exported)]
  if (exported.length > 1 && exported.some(schema => isObject(schema) && schema['$id'] === undefined)) {
    throw new Error('Every schema of an array needs an $id')
  }
  return exported.map(schema => toSchema(name, schema))
}

function toSchema (name: string, exported: unknown): Schema {
  // Schema builders return their schema from `valueOf()`. Plain objects return themselves.
  const schema: unknown = exported?.valueOf()
  if (!isSchema(schema)) throw new Error(`'${name}' is not a JSON schema: it needs a type or another keyword`)
  // Copied, because other tenants may share the module.
  return { ...copyPlain({ ...schema }), $id: (schema['$id'] as string | undefined) ?? name }
}

function isSchema (value: unknown): value is Record<string, unknown> {
  return isObject(value) && KEYWORDS.some(keyword => Object.hasOwn(value, keyword))
}
