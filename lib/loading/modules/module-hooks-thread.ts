import type { MessagePort } from 'node:worker_threads'
import type { ResolveFnOutput, ResolveHookContext } from 'node:module'
import { versionedUrl } from './versions.ts'
import type { Versions } from './versions.ts'

// Runs in the thread that Node before 22.15 uses for module hooks: https://nodejs.org/docs/latest-v20.x/api/module.html#customization-hooks
const versions: Versions = new Map()

/** `module.register()` calls this once. Stores and then acknowledges every version that arrives. */
export function initialize ({ port }: { port: MessagePort }): void {
  port.on('message', ({ folder, version }: { folder: string, version: number }) => {
    versions.set(folder, version)
    port.postMessage({ folder, version })
  })
  port.unref()
}

export async function resolve (
  specifier: string,
  context: ResolveHookContext,
  next: (specifier: string, context: ResolveHookContext) => Promise<ResolveFnOutput>
): Promise<ResolveFnOutput> {
  const resolved = await next(specifier, context)
  return { ...resolved, url: versionedUrl(versions, resolved.url, context.parentURL) }
}
