import { FST_TENANT_TEMPLATE_SHARED } from '../errors.ts'
import type { AdaptOptions } from '../loading/plugin-function.ts'
import type { Template } from '../../types/index.ts'

/** The options that a plugin of a tenant has and one of a template lacks, with the place to read each from. */
const MISSING = { tenant: 'request.tenant', config: 'request.tenant.config' }

/**
 * Returns a function that makes `tenant` and `config` throw in the options of a template's plugins. Options without the template are those of
 * another library, and stay as they are.
 */
export function refuseTenantOptions (template: Template): AdaptOptions {
  return options => {
    if (Reflect.get(options, 'template') !== template) return options
    const copy = { ...options }
    for (const [name, place] of Object.entries(MISSING)) {
      if (Object.hasOwn(copy, name)) continue
      const get = (): never => { throw new FST_TENANT_TEMPLATE_SHARED(template.name, `its plugins get no ${name}, so read ${place} in a hook or a handler`) }
      Object.defineProperty(copy, name, { configurable: true, enumerable: false, get })
    }
    return copy
  }
}
