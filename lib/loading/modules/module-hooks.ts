import * as nodeModule from 'node:module'
import type { ResolveFnOutput, ResolveHookContext } from 'node:module'
import { extname } from 'node:path'
import { MessageChannel } from 'node:worker_threads'
import type { MessagePort } from 'node:worker_threads'
import { versionedUrl } from './versions.ts'
import type { Versions } from './versions.ts'

/** Module hooks that are in force, and what tells them of a new version. */
export interface Registration {
  /** Resolves when the version is in use for what is imported from the folder. */
  set (folder: string, version: number): Promise<void>
  close (): void
}

/** Of Node from 22.15: https://nodejs.org/api/module.html#moduleregisterhooksoptions */
export type RegisterHooks = (hooks: {
  resolve (specifier: string, context: ResolveHookContext, next: (specifier: string, context: ResolveHookContext) => ResolveFnOutput): ResolveFnOutput
}) => { deregister (): void }

/**
 * Makes Node import modules by the versions of their folders.
 * @param registerHooks Node's own, where it has it
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

/** For Node before 22.15, whose hooks run in a thread of their own and stay for ever. */
function registerThreadHooks (): Registration {
  const { port1, port2 } = new MessageChannel()
  // The extension is that of this file: .ts before it is built, .js after.
  const url = new URL(`./module-hooks-thread${extname(import.meta.url)}`, import.meta.url)
  nodeModule.register(url, { data: { port: port2 }, transferList: [port2] })
  port1.unref()
  // One at a time, so that each waits for its own acknowledgement.
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
