import * as nodeModule from 'node:module'
import type { ResolveFnOutput, ResolveHookContext } from 'node:module'
import { extname } from 'node:path'
import { MessageChannel } from 'node:worker_threads'
import type { MessagePort } from 'node:worker_threads'
import { versionedUrl } from './versions.ts'
import type { Versions } from './versions.ts'

/** The registered module hooks. */
export interface Registration {
  /** Sets the version of a folder. Resolves when the hooks use it. */
  set (folder: string, version: number): Promise<void>
  close (): void
}

/** `module.registerHooks()` of Node 22.15 and later: https://nodejs.org/api/module.html#moduleregisterhooksoptions */
export type RegisterHooks = (hooks: {
  resolve (specifier: string, context: ResolveHookContext, next: (specifier: string, context: ResolveHookContext) => ResolveFnOutput): ResolveFnOutput
}) => { deregister (): void }

/**
 * Registers hooks that add the version of its folder to the URL of each imported module.
 * @param registerHooks Node's own function; `undefined` where Node does not have it
 */
export function registerModuleHooks (versions: Versions, registerHooks: RegisterHooks | undefined): Registration {
  if (registerHooks === undefined) return registerThreadHooks()
  const hooks = registerHooks({
    resolve (specifier, context, next) {
      const resolved = next(specifier, context)
      return { ...resolved, url: versionedUrl(versions, resolved.url, context.parentURL) }
    }
  })
  return { set: async () => {}, close: () => hooks.deregister() }
}

/** For Node before 22.15. Its hooks run in a separate thread and cannot be removed. */
function registerThreadHooks (): Registration {
  const { port1, port2 } = new MessageChannel()
  // Uses the extension of this file: .ts in the source, .js after the build.
  const url = new URL(`./module-hooks-thread${extname(import.meta.url)}`, import.meta.url)
  nodeModule.register(url, { data: { port: port2 }, transferList: [port2] })
  port1.unref()
  // One message at a time, so that each call waits for its own acknowledgement.
  let last = Promise.resolve()
  const set = (folder: string, version: number): Promise<void> => {
    last = last.then(() => setInThread(port1, folder, version))
    return last
  }
  return { set, close: () => port1.close() }
}

function setInThread (port: MessagePort, folder: string, version: number): Promise<void> {
  return new Promise(resolve => {
    port.ref()
    port.once('message', () => {
      port.unref()
      resolve()
    })
    port.postMessage({ folder, version })
  })
}
