import type { FastifyInstance } from 'fastify'
import { createChildController, defaultValidatorBuilder, usesDefaultValidators } from '../fastify/schema-controller.ts'
import { SharedCompilers } from './shared-compilers.ts'
import type { Internals } from '../fastify/internals.ts'
import type { SchemaController } from '../fastify/shapes.ts'

/**
 * Creates the schema controllers of tenants. Each is a child of the app's controller, as in a child context. Its compiled validators
 * can be freed when the tenant ends.
 */
export class SchemaControllers {
  readonly #parent: SchemaController
  /** `undefined` if the app has a custom compiler, which does its own caching. */
  readonly #compilers: SharedCompilers | undefined

  /**
   * Call this when the app is ready, because plugins can replace its compilers until then.
   * @throws {FST_TENANT_FASTIFY_UNSUPPORTED}
   */
  constructor (app: FastifyInstance, internals: Internals) {
    this.#parent = internals.get(app, 'schemaController')
    if (usesDefaultValidators(app, internals)) this.#compilers = new SharedCompilers(() => defaultValidatorBuilder(internals))
  }

  /** Creates the controller of one generation of a tenant. */
  create (): SchemaController {
    return createChildController(this.#parent, this.#compilers?.build)
  }
}
