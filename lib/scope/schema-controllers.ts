import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import { FST_TENANT_FASTIFY_UNSUPPORTED } from '../errors.ts'
import { SharedCompilers } from './shared-compilers.ts'
import { createQuietly } from '../fastify/create-quietly.ts'
import type { Internals } from '../fastify/internals.ts'
import type { CompilersFactory, SchemaController } from '../fastify/shapes.ts'
import type { Build } from '../fastify/compiler.ts'

type Controller = new (parent: SchemaController, options: SchemaController['opts']) => SchemaController

/** What keeps and compiles the schemas of tenants: children of the app's controller, as Fastify makes them, whose validators end with the tenants. */
export class SchemaControllers {
  readonly #parent: SchemaController
  /** None where the app has another compiler: what that keeps is for whoever wrote it to say. */
  readonly #compilers: SharedCompilers | undefined

  /** To be made when the app is ready: what compiles its schemas is known. @throws FST_TENANT_FASTIFY_UNSUPPORTED */
  constructor (app: FastifyInstance, internals: Internals) {
    const fastifysBuilder = (): Build => builderOf(internals.get(createQuietly(() => Fastify()), 'schemaController')) as Build
    this.#parent = internals.get(app, 'schemaController')
    const builder = builderOf(this.#parent)
    if (builder === undefined) throw new FST_TENANT_FASTIFY_UNSUPPORTED('What builds validators was', app.version)
    // `setSchemaController()` leaves no mark: what tells a builder of Fastify's is its code.
    const isFastifys = !this.#parent.isCustomValidatorCompiler && String(builder) === String(fastifysBuilder())
    if (isFastifys) this.#compilers = new SharedCompilers(fastifysBuilder)
  }

  /** For one generation of a tenant. */
  create (): SchemaController {
    const parent = this.#parent
    const compilersFactory = { ...parent.opts.compilersFactory, ...(this.#compilers && { buildValidator: this.#compilers.build }) }
    const controller = new (parent.constructor as Controller)(parent, { ...parent.opts, compilersFactory })
    // A child that Fastify makes comes before anything is compiled. What the app has compiled by now knows no schemas that the tenant adds.
    return Object.assign(controller, {
      parent: undefined,
      validatorCompiler: setByUser(parent, 'buildValidator'),
      serializerCompiler: setByUser(parent, 'buildSerializer')
    })
  }
}

function builderOf ({ opts }: SchemaController): Build | undefined {
  return opts.compilersFactory?.buildValidator
}

/** The compiler that `setValidatorCompiler()` or `setSerializerCompiler()` was given, which Fastify notes as one that builds nothing else. */
function setByUser ({ opts, compilersFactory, parent }: SchemaController, name: keyof CompilersFactory): unknown {
  const build = compilersFactory[name] as (() => unknown) | undefined
  if (build !== opts.compilersFactory?.[name]) return build?.()
  return parent === undefined ? undefined : setByUser(parent, name)
}
