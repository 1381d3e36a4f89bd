import type { FastifyInstance } from 'fastify'
import { FST_TENANT_FASTIFY_UNSUPPORTED } from '../errors.ts'
import { createDefaultFastify } from './create-quietly.ts'
import { hasSameSource } from './options.ts'
import type { Internals } from './internals.ts'
import type { BuildCompiler, CompilersFactory, SchemaController } from './shapes.ts'

type Controller = new (parent: SchemaController, options: SchemaController['opts']) => SchemaController

/** Returns a new instance of Fastify's own function that builds validator compilers. It has built nothing yet. */
export function defaultValidatorBuilder (internals: Internals): BuildCompiler {
  return validatorBuilderOf(internals.get(createDefaultFastify(), 'schemaController')) as BuildCompiler
}

/**
 * Whether the app compiles validators with Fastify's own builder. `setSchemaController()` leaves no flag, so this compares source texts.
 * @throws {FST_TENANT_FASTIFY_UNSUPPORTED} when the app has no builder
 */
export function usesDefaultValidators (app: FastifyInstance, internals: Internals): boolean {
  const controller = internals.get(app, 'schemaController')
  const builder = validatorBuilderOf(controller)
  if (builder === undefined) throw new FST_TENANT_FASTIFY_UNSUPPORTED('The builder of validators was', app.version)
  return !controller.isCustomValidatorCompiler && hasSameSource(builder, defaultValidatorBuilder(internals))
}

/**
 * Creates a child of a schema controller, as Fastify does for each child context.
 * @param buildValidator replaces the parent's builder of validators
 */
export function createChildController (parent: SchemaController, buildValidator: BuildCompiler | undefined): SchemaController {
  const compilersFactory = { ...parent.opts.compilersFactory, ...(buildValidator && { buildValidator }) }
  const controller = new (parent.constructor as Controller)(parent, { ...parent.opts, compilersFactory })
  // Fastify creates its children before anything is compiled. By now the parent may have compilers, and they do not know the
  // schemas that the child adds.
  return Object.assign(controller, {
    parent: undefined,
    validatorCompiler: setByUser(parent, 'buildValidator'),
    serializerCompiler: setByUser(parent, 'buildSerializer')
  })
}

function validatorBuilderOf ({ opts }: SchemaController): BuildCompiler | undefined {
  return opts.compilersFactory?.buildValidator
}

/** Returns the compiler from `setValidatorCompiler()` or `setSerializerCompiler()`. Fastify stores it as a builder that returns this compiler. */
function setByUser ({ opts, compilersFactory, parent }: SchemaController, name: keyof CompilersFactory): unknown {
  const build = compilersFactory[name] as (() => unknown) | undefined
  if (build !== opts.compilersFactory?.[name]) return build?.()
  return parent === undefined ? undefined : setByUser(parent, name)
}
