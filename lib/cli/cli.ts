import { createRequire } from 'node:module'
import { parseArgs } from 'node:util'
import { MultiTenantServer } from '../server/server.ts'
import type { LogLevel, ServerConfig, StrategyName } from '../../types/index.ts'

/** The text that `--help` prints. */
const HELP = `Usage: fastify-multitenant [folder] [options]

Starts a server for the project in the folder (default: the working directory):
the plugins in src/plugins, and the tenants in src/tenants.

  -p, --port <number>        the port, 0 for any free one      PORT, 3000
      --host <host>          the host to listen on             HOST, localhost
      --log-level <level>    fatal error warn info debug
                             trace silent                      LOG_LEVEL, info
      --tenants <folder>     the tenants' folder               TENANTS_PATH, src/tenants
      --plugins <folder>     the core plugins' folder          PLUGINS_PATH, src/plugins
      --max-tenants <number> how many stay loaded              MAX_CONCURRENT_TENANTS, 100
      --core-order <names>   the core plugins to load first: database,auth
      --tenants-npm <glob>   dependencies that are tenants: 'acme-tenant-*'
      --plugins-npm <glob>   dependencies that are core plugins: 'acme-plugin-*'
      --identify <how>       header (x-tenant-id) subdomain
                             path query                        header
      --base-domain <domain> the domain above the subdomains
      --default-tenant <id>  the tenant of a request that names none
      --watch                reload a tenant when its files change
  -h, --help                 print this
  -v, --version              print the version

On the right: the variable of the environment or of the file .env that sets the
same, and the default. Options win over variables.
`

const text = { type: 'string' } as const
const flag = { type: 'boolean' } as const

/** The options of the command line. */
const OPTIONS = {
  port: { ...text, short: 'p' },
  host: text,
  'log-level': text,
  tenants: text,
  plugins: text,
  'max-tenants': text,
  'core-order': text,
  'tenants-npm': text,
  'plugins-npm': text,
  identify: text,
  'base-domain': text,
  'default-tenant': text,
  watch: flag,
  help: { ...flag, short: 'h' },
  version: { ...flag, short: 'v' }
} as const

type Values = ReturnType<typeof parse>['values']

/** The output of a command, for example `console`. */
export interface Output {
  log (text: string): void
  error (text: string): void
}

/** Runs the command and returns the exit code of the process. If it starts a server, it returns once the server listens. */
export async function run (args: readonly string[], output: Output): Promise<number> {
  try {
    const { values, positionals: [root, ...more] } = parse(args)
    if (values.help === true) return print(output, HELP.trimEnd())
    if (values.version === true) return print(output, version())
    if (more.length > 0) throw new Error(`Only one folder is allowed, not also: ${more.join(' ')}`)
    await new MultiTenantServer(toConfig(root, values)).start()
    return 0
  } catch (error) {
    output.error(describe(error))
    return 1
  }
}

function parse (args: readonly string[]) {
  return parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true })
}

/** Checks nothing, because the server checks the whole config. */
function toConfig (root: string | undefined, values: Values): ServerConfig {
  const { identify, 'base-domain': baseDomain, 'default-tenant': defaultTenant, watch } = values
  return {
    root,
    server: { port: toNumber(values.port), host: values.host, logLevel: values['log-level'] as LogLevel | undefined },
    tenants: { path: values.tenants, maxConcurrent: toNumber(values['max-tenants']), npmPattern: values['tenants-npm'] },
    plugins: { path: values.plugins, coreOrder: values['core-order']?.split(','), npmPattern: values['plugins-npm'] },
    multitenant: { identify: identify as StrategyName | undefined, baseDomain, defaultTenant, watch }
  }
}

/** Passes other text on unchanged, so that the server's error can show it. Empty text is not a number, although `Number('')` is 0. */
function toNumber (value: string | undefined): number | undefined {
  if (value === undefined) return undefined
  const isNumber = value.trim() !== '' && !Number.isNaN(Number(value))
  return isNumber ? Number(value) : value as unknown as number
}

function version (): string {
  return createRequire(import.meta.url)('fastify-multitenant/package.json').version
}

function print (output: Output, text: string): number {
  output.log(text)
  return 0
}

/** Returns the messages of an error and its causes. A stack would not help with an invalid option. */
function describe (error: unknown): string {
  const lines: string[] = []
  for (let cause = error; cause !== undefined; cause = (cause as { cause?: unknown }).cause) {
    const message = cause instanceof Error ? cause.message : String(cause)
    if (lines.every(line => !line.includes(message))) lines.push(message)
    if (typeof cause !== 'object' || cause === null) break
  }
  const hint = (error as { code?: string } | null)?.code?.startsWith('ERR_PARSE_ARGS') === true ? ['Try --help'] : []
  return [...lines, ...hint].join('\n')
}
