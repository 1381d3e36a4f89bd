import createError from '@fastify/error'
import type { FastifyError, FastifyErrorConstructor } from '@fastify/error'

/** The class of an error that is about one tenant. */
interface AboutTenant<Args extends unknown[]> extends FastifyErrorConstructor<{ code: string }, Args> {
  new (...args: Args): FastifyError & { readonly tenantId: string }
}

/** The class of an error that is about one template. */
interface AboutTemplate<Args extends unknown[]> extends FastifyErrorConstructor<{ code: string }, Args> {
  new (...args: Args): FastifyError & { readonly template: string }
}

/** Adds a property to the errors of a class: their first argument. It is not enumerable, so a reply made from a copy of the error does not show it. */
function about<Args extends [subject: string, ...unknown[]]> (property: string, Coded: FastifyErrorConstructor<{ code: string }, Args>): FastifyErrorConstructor<{ code: string }, Args> {
  return class extends Coded {
    constructor (...args: Args) {
      super(...args)
      Object.defineProperty(this, property, { value: args[0] })
    }
  } as FastifyErrorConstructor<{ code: string }, Args>
}

function aboutTenant<Args extends [id: string, ...unknown[]]> (Coded: FastifyErrorConstructor<{ code: string }, Args>): AboutTenant<Args> {
  return about('tenantId', Coded) as unknown as AboutTenant<Args>
}

function aboutTemplate<Args extends [name: string, ...unknown[]]> (Coded: FastifyErrorConstructor<{ code: string }, Args>): AboutTemplate<Args> {
  return about('template', Coded) as unknown as AboutTemplate<Args>
}

/** The arguments after the id. `suffix` ends the message of a failed reload: the current generation keeps serving. */
type LoadContext = [options?: ErrorOptions] | [suffix: string, options: ErrorOptions]

/** 400: the request names no tenant, and the route, the `required` option or a required member of `agree()` needs one. */
export const FST_TENANT_REQUIRED = createError('FST_TENANT_REQUIRED', 'This request needs a tenant', 400)
/** 400: the value that names the tenant is not a tenant id. */
export const FST_TENANT_INVALID_ID = createError<[options?: ErrorOptions]>('FST_TENANT_INVALID_ID', 'The tenant id is not valid', 400)
/** 401: the token or cookie that names the tenant could not be verified. `cause` says why, if that is known. */
export const FST_TENANT_UNVERIFIED = createError<[options?: ErrorOptions]>('FST_TENANT_UNVERIFIED', 'The tenant of this request could not be verified', 401)
/** 403: the request names two tenants, and the members of `agree()` must find the same one. */
export const FST_TENANT_MISMATCH = createError<[]>('FST_TENANT_MISMATCH', 'This request names more than one tenant', 403)
/** 503: the identification strategy failed. `cause` says why. */
export const FST_TENANT_IDENTIFICATION_FAILED = createError<[options?: ErrorOptions]>('FST_TENANT_IDENTIFICATION_FAILED', 'The tenant of this request could not be identified', 503)
/** 404: no source knows the tenant, or its config says `active: false`. */
export const FST_TENANT_NOT_FOUND = aboutTenant(createError<[id: string, options?: ErrorOptions]>('FST_TENANT_NOT_FOUND', "Tenant '%s' not found", 404))
/** 503: the tenant could not be loaded. `cause` says why. */
export const FST_TENANT_LOAD_FAILED = aboutTenant(createError<[id: string, ...LoadContext]>('FST_TENANT_LOAD_FAILED', "Tenant '%s' could not be loaded", 503))
/** 503: the tenant did not load within `loadTimeout`. `cause` names the part that did not finish, if that is known. */
export const FST_TENANT_LOAD_TIMEOUT = aboutTenant(createError<[id: string, ...LoadContext]>('FST_TENANT_LOAD_TIMEOUT', "Tenant '%s' took too long to load", 503))
/** 403: the tenant is suspended. */
export const FST_TENANT_SUSPENDED = aboutTenant(createError<[id: string]>('FST_TENANT_SUSPENDED', "Tenant '%s' is suspended", 403))
/** 503: the tenant has `maxInFlight` running requests, or `maxWaiting` requests wait until it is loaded. Created without a stack trace, whose cost would dominate under load. */
export const FST_TENANT_BUSY = aboutTenant(createError<[id: string]>('FST_TENANT_BUSY', "Tenant '%s' is busy", 503, Error, false))
/** 503: `maxActive` tenants are loaded and all of them are busy, or too many requests wait for tenants to be looked up or loaded. `%c` keeps the id out of the message. Created without a stack trace. */
export const FST_TENANT_OVERLOADED = aboutTenant(createError<[id: string]>('FST_TENANT_OVERLOADED', 'Too many tenants are busy%c', 503, Error, false))
/** 503: the tenant has been unloaded or the app is closing. */
export const FST_TENANT_CLOSED = aboutTenant(createError<[id: string]>('FST_TENANT_CLOSED', "Tenant '%s' is closed", 503))
/** 500: the tenant has no service of the name that `getService()` was called with. */
export const FST_TENANT_SERVICE_NOT_FOUND = createError<[name: string, known: string]>('FST_TENANT_SERVICE_NOT_FOUND', "No service '%s'. The tenant's services are: %s", 500)
/** 500: a tenant's config is not an object, or does not match `configSchema`; or a server's environment is invalid. `cause` says why. */
export const FST_TENANT_CONFIG_INVALID = createError<[reason: string, options?: ErrorOptions]>('FST_TENANT_CONFIG_INVALID', 'The config is not valid: %s', 500)
/** 500: this version of Fastify lacks an internal that the plugin needs, or the app was made by a different copy of Fastify. */
export const FST_TENANT_FASTIFY_UNSUPPORTED = createError<[missing: string, version: string]>('FST_TENANT_FASTIFY_UNSUPPORTED', '%s not found in Fastify %s, which this version of fastify-multitenant does not support', 500)
/** 500 (TypeError): an option is invalid. */
export const FST_TENANT_OPTION_INVALID = createError<[name: string, expected: string]>('FST_TENANT_OPTION_INVALID', "The option '%s' must be %s", 500, TypeError)
/** 500: the tenant names a template that does not exist. Tenants see it as `cause` of FST_TENANT_LOAD_FAILED. */
export const FST_TENANT_TEMPLATE_NOT_FOUND = aboutTemplate(createError<[name: string, known: string]>('FST_TENANT_TEMPLATE_NOT_FOUND', "Template '%s' not found. The templates are: %s", 500))
/** 503: the template could not be loaded. `cause` says why. */
export const FST_TENANT_TEMPLATE_FAILED = aboutTemplate(createError<[name: string, options?: ErrorOptions]>('FST_TENANT_TEMPLATE_FAILED', "Template '%s' could not be loaded", 503))
/** 500: a plugin of a template reads `tenant` or `config` of its options, or the template calls its own `inject()`. Many tenants share the template. */
export const FST_TENANT_TEMPLATE_SHARED = aboutTemplate(createError<[name: string, advice: string]>('FST_TENANT_TEMPLATE_SHARED', "Many tenants share the template '%s': %s", 500))
/** 500: a plugin is named with a scheme that has no plugin loading strategy. */
export const FST_TENANT_SCHEME_UNKNOWN = createError<[plugin: string, known: string]>('FST_TENANT_SCHEME_UNKNOWN', "No strategy loads the plugin '%s'. The schemes are: %s", 500)
/** 500: a plugin that a config names, or a core plugin, could not be loaded. `cause` says why. */
export const FST_TENANT_PLUGIN_FAILED = createError<[plugin: string, reason: string, options?: ErrorOptions]>('FST_TENANT_PLUGIN_FAILED', "The plugin '%s' could not be loaded: %s", 500)
/** 500: an npm package is not installed, or cannot be a tenant or a plugin. `cause` says why. */
export const FST_TENANT_PACKAGE_INVALID = createError<[name: string, reason: string, options?: ErrorOptions]>('FST_TENANT_PACKAGE_INVALID', "The package '%s' %s", 500)
/** 500: two folders or packages have the same tenant id. */
export const FST_TENANT_ID_TAKEN = createError<[id: string, places: string]>('FST_TENANT_ID_TAKEN', "Tenant '%s' exists more than once: %s", 500)
/** 500: a tenant's host is invalid, or belongs to two tenants. */
export const FST_TENANT_HOSTS_INVALID = createError<[reason: string, options?: ErrorOptions]>('FST_TENANT_HOSTS_INVALID', 'The hosts of the tenants are not valid: %s', 500)
/** 500: the database has no table of tenants. `migrate()` creates it. */
export const FST_TENANT_TABLE_MISSING = createError<[table: string]>('FST_TENANT_TABLE_MISSING', 'The table %s does not exist: call migrate() first', 500)
/** 500: the row of a tenant is invalid: it names a folder outside the allowed folders. */
export const FST_TENANT_ROW_INVALID = createError<[id: string, reason: string]>('FST_TENANT_ROW_INVALID', "The row of tenant '%s' is not valid: %s", 500)
/** 500: `start()` was called twice, or after the server's app was made ready or closed. `cause` says which. */
export const FST_TENANT_SERVER_STARTED = createError<[options?: ErrorOptions]>('FST_TENANT_SERVER_STARTED', 'A server can be started only once, and only by start(): create a new one', 500)
/** 500: the method needs a started server. */
export const FST_TENANT_SERVER_NOT_STARTED = createError<[]>('FST_TENANT_SERVER_NOT_STARTED', 'The server has not been started: call start() first', 500)
/** 500: the server cannot listen. `cause` says why. */
export const FST_TENANT_LISTEN_FAILED = createError<[host: string, port: string | number, options?: ErrorOptions]>('FST_TENANT_LISTEN_FAILED', 'The server cannot listen on %s port %s', 500)
