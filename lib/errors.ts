import createError from '@fastify/error'
import type { FastifyError, FastifyErrorConstructor } from '@fastify/error'

/** An error about one tenant. */
interface AboutTenant<Args extends unknown[]> extends FastifyErrorConstructor<{ code: string }, Args> {
  new (...args: Args): FastifyError & { readonly tenantId: string }
}

/** Makes its errors say which tenant they are about: in a property that is not enumerable, so that no reply gets it from a copy of the error. */
function aboutTenant<Args extends [id: string, ...unknown[]]> (Coded: FastifyErrorConstructor<{ code: string }, Args>): AboutTenant<Args> {
  class TenantError extends Coded {
    constructor (...args: Args) {
      super(...args)
      Object.defineProperty(this, 'tenantId', { value: args[0] })
    }
  }
  return TenantError as unknown as AboutTenant<Args>
}

/** What else a failed load says: of a reload, that the tenant is served nevertheless, which ends the message. */
type LoadContext = [options?: ErrorOptions] | [anew: string, options: ErrorOptions]

/** 400: nothing in the request names a tenant, and the route or the `required` option asks for one. */
export const FST_TENANT_REQUIRED = createError('FST_TENANT_REQUIRED', 'This request needs a tenant', 400)
/** 400: what names the tenant is no tenant id. */
export const FST_TENANT_INVALID_ID = createError<[options?: ErrorOptions]>('FST_TENANT_INVALID_ID', 'The tenant id is not valid', 400)
/** 401: the token or the cookie that names the tenant does not verify; `cause` says why, when that is known. */
export const FST_TENANT_UNVERIFIED = createError<[options?: ErrorOptions]>('FST_TENANT_UNVERIFIED', 'What names the tenant could not be verified', 401)
/** 403: a request names two tenants, where all that names one must agree. */
export const FST_TENANT_MISMATCH = createError<[]>('FST_TENANT_MISMATCH', 'This request names more than one tenant', 403)
/** 503: the identification strategy failed; `cause` says why. */
export const FST_TENANT_IDENTIFICATION_FAILED = createError<[options?: ErrorOptions]>('FST_TENANT_IDENTIFICATION_FAILED', 'The tenant of this request could not be identified', 503)
/** 404: no source knows the tenant, or its config leaves it out. */
export const FST_TENANT_NOT_FOUND = aboutTenant(createError<[id: string, options?: ErrorOptions]>('FST_TENANT_NOT_FOUND', "Tenant '%s' not found", 404))
/** 503: the tenant could not be loaded; `cause` says why. */
export const FST_TENANT_LOAD_FAILED = aboutTenant(createError<[id: string, ...LoadContext]>('FST_TENANT_LOAD_FAILED', "Tenant '%s' could not be loaded", 503))
/** 503: the tenant did not load within `loadTimeout`; `cause` says what it hung on, when that is known. */
export const FST_TENANT_LOAD_TIMEOUT = aboutTenant(createError<[id: string, ...LoadContext]>('FST_TENANT_LOAD_TIMEOUT', "Tenant '%s' took too long to load", 503))
/** 403: the tenant is suspended. */
export const FST_TENANT_SUSPENDED = aboutTenant(createError<[id: string]>('FST_TENANT_SUSPENDED', "Tenant '%s' is suspended", 403))
/** 503: the tenant has more requests than `maxInFlight`, or more that wait for it to be loaded than `maxWaiting`. Has no stack: taking one would be most of the work for each of a flood of requests. */
export const FST_TENANT_BUSY = aboutTenant(createError<[id: string]>('FST_TENANT_BUSY', "Tenant '%s' is busy", 503, Error, false))
/** 503: `maxActive` tenants are loaded and all of them are busy, or too many wait to be looked up or loaded. Has no stack, as the one above. */
export const FST_TENANT_OVERLOADED = aboutTenant(createError<[id: string]>('FST_TENANT_OVERLOADED', 'Too many tenants are busy%c', 503, Error, false))
/** 503: the tenant has been unloaded or the app is closing. */
export const FST_TENANT_CLOSED = aboutTenant(createError<[id: string]>('FST_TENANT_CLOSED', "Tenant '%s' is closed", 503))
/** 500: `getService()` was asked for a service that the tenant does not have. */
export const FST_TENANT_SERVICE_NOT_FOUND = createError<[name: string, known: string]>('FST_TENANT_SERVICE_NOT_FOUND', "No service '%s'. The tenant's services are: %s", 500)
/** 500: a tenant's config is no object, or does not fit `configSchema`; `cause` says why. */
export const FST_TENANT_CONFIG_INVALID = createError<[reason: string, options?: ErrorOptions]>('FST_TENANT_CONFIG_INVALID', 'The config is not valid: %s', 500)
/** 500: the running Fastify lacks an internal that the plugin builds on, or is another copy than the app's. */
export const FST_TENANT_FASTIFY_UNSUPPORTED = createError<[missing: string, version: string]>('FST_TENANT_FASTIFY_UNSUPPORTED', '%s not found in Fastify %s, which this version of fastify-multitenant does not support', 500)
/** 500 (TypeError): an option of the plugin is wrong. */
export const FST_TENANT_OPTION_INVALID = createError<[name: string, expected: string]>('FST_TENANT_OPTION_INVALID', "The option '%s' must be %s", 500, TypeError)
/** 500: a plugin is named with a scheme that no plugin loading strategy is registered for. */
export const FST_TENANT_SCHEME_UNKNOWN = createError<[plugin: string, known: string]>('FST_TENANT_SCHEME_UNKNOWN', "No strategy loads the plugin '%s'. The schemes are: %s", 500)
/** 500: a plugin that is named in a config, or is in a folder of core plugins, could not be loaded; `cause` says why. */
export const FST_TENANT_PLUGIN_FAILED = createError<[plugin: string, reason: string, options?: ErrorOptions]>('FST_TENANT_PLUGIN_FAILED', "The plugin '%s' could not be loaded: %s", 500)
/** 500: an npm package is not installed, or is not what a tenant or a plugin must be; `cause` says why. */
export const FST_TENANT_PACKAGE_INVALID = createError<[name: string, reason: string, options?: ErrorOptions]>('FST_TENANT_PACKAGE_INVALID', "The package '%s' %s", 500)
/** 500: two sources have a tenant with the same id. */
export const FST_TENANT_ID_TAKEN = createError<[id: string, places: string]>('FST_TENANT_ID_TAKEN', "Tenant '%s' is there more than once: %s", 500)
/** 500: the hosts of the tenants are not fit to be told apart: one is no host, or is there twice. */
export const FST_TENANT_HOSTS_INVALID = createError<[reason: string, options?: ErrorOptions]>('FST_TENANT_HOSTS_INVALID', 'The hosts of the tenants are not valid: %s', 500)
/** 500: the table of tenants is not in the database: `migrate()` makes it. */
export const FST_TENANT_TABLE_MISSING = createError<[table: string]>('FST_TENANT_TABLE_MISSING', 'There is no table %s: call migrate() first', 500)
/** 500: the row of a tenant cannot be used. */
export const FST_TENANT_ROW_INVALID = createError<[id: string, reason: string]>('FST_TENANT_ROW_INVALID', "The row of tenant '%s' is not valid: %s", 500)
/** 500: `start()` of a server that has been started before, or whose app has been made ready or closed by itself; `cause` says how. */
export const FST_TENANT_SERVER_STARTED = createError<[options?: ErrorOptions]>('FST_TENANT_SERVER_STARTED', 'A server is started once, and by start() alone; make a new one to start again', 500)
/** 500: something that needs a server that has been started. */
export const FST_TENANT_SERVER_NOT_STARTED = createError<[]>('FST_TENANT_SERVER_NOT_STARTED', 'The server has not been started: call start() first', 500)
/** 500: the server cannot listen; `cause` says why. */
export const FST_TENANT_LISTEN_FAILED = createError<[host: string, port: string | number, options?: ErrorOptions]>('FST_TENANT_LISTEN_FAILED', 'The server cannot listen on %s port %s', 500)
