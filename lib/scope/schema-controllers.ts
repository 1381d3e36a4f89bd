import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import { FST_TENANT_FASTIFY_UNSUPPORTED } from '../errors.ts'
import { SharedCompilers } from './shared-compilers.ts'
import { unannounced } from './unannounced.ts'
import type { Internals, SchemaController } from './internals.ts'
import type { Build, Compile } from './shared-compilers.ts'

type Controller = new (parent: SchemaController, options: SchemaController['opts']) => SchemaController

/** What keeps and compiles the schemas of tenants: children of the app's controller, as Fastify makes them, whose validators end with the tenants. */
export class SchemaControllers {
  readonly #parent: SchemaController
  readonly #options: unknown
  /** None where the app has another compiler: what that keeps is for whoever wrote it to say. */
  readonly #compilers: SharedCompilers | undefined

  /** To be made when the app is ready: what compiles its schemas is known. @throws FST_TENANT_FASTIFY_UNSUPPORTED */
  constructor (app: FastifyInstance, internals: Internals) {
    const fastifysBuilder = (): Build => builderOf(internals.get(unannounced(() => Fastify()), 'schemaController')) as Build
    this.#parent = internals.get(app, 'schemaController')
    this.#options = internals.get(app, 'options').ajv
    const builder = builderOf(this.#parent)
    if (builder === undefined) throw new FST_TENANT_FASTIFY_UNSUPPORTED('What builds validators was', app.version)
    // `setSchemaController()` leaves no mark: what tells a builder of Fastify's is its code.
    const isFastifys = !this.#parent.isCustomValidatorCompiler && String(builder) === String(fastifysBuilder())
    if (isFastifys) this.#compilers = new SharedCompilers(fastifysBuilder)
  }

  /** For one generation of a tenant. */
  create (): SchemaController {
    const parent = this.#parent
    const build = this.#compilers?.build
    if (build === undefined) return parent
    const compilersFactory = { ...parent.opts.compilersFactory, buildValidator: build }
    const controller = new (parent.constructor as Controller)(parent, { ...parent.opts, compilersFactory })
    // Where the app compiled schemas, its children have its compiler until they add schemas. Here that is another, made of the same schemas.
    let compile: Compile | undefined
    controller.validatorCompiler = undefined
    controller.getValidatorCompiler = () => {
      if (parent.getValidatorCompiler() === undefined) return undefined
      compile ??= build(parent.getSchemas(), this.#options)
      return compile
    }
    return controller
  }
}

function builderOf ({ opts }: SchemaController): Build | undefined {
  return opts.compilersFactory?.buildValidator
}
