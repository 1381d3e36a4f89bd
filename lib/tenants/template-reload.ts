import pLimit from 'p-limit'
import type { Templates } from '../templates/templates.ts'
import type { ResolvedOptions } from '../options.ts'
import type { TenantRegistry } from './registry.ts'
import type { TenantSlot } from './tenant-slot.ts'
import type { TemplateReloadReport } from '../../types/index.ts'

/** The objects that templates are reloaded with. */
export interface TemplateReloadContext {
  options: Pick<ResolvedOptions, 'maxLoading'>
  templates: Templates
  registry: TenantRegistry
}

/**
 * Swaps a template's generation, then rebuilds the tenants on the old one, a few at a time. A tenant that cannot be rebuilt keeps running on
 * the old generation, which stays open for it. Throws the errors of `Templates.reload()`; everything then stays as it was.
 * @param freshCode whether the template's modules are read from disk again
 */
export async function reloadTemplate (name: string, freshCode: boolean, { options, templates, registry }: TemplateReloadContext): Promise<TemplateReloadReport> {
  const { generation, drain } = await templates.reload(name, freshCode)
  const baseOf = ({ current }: TenantSlot): number | undefined => current?.template?.name === name ? current.template.number : undefined
  const isOutdated = (slot: TenantSlot): boolean => (baseOf(slot) ?? generation.number) < generation.number
  // A tenant that is being built may be on the old generation too.
  const slots = [...registry.slots].filter(slot => slot.building || isOutdated(slot))
  const failed: string[] = []
  let reloaded = 0
  await pLimit(options.maxLoading).map(slots, async slot => {
    await slot.built()
    if (!isOutdated(slot)) return
    // The loader has logged why the rebuild failed.
    await registry.reload(slot.id, false).catch(() => {})
    if (isOutdated(slot)) failed.push(slot.id)
    // The source may have lost the tenant, or moved it to another template.
    else if (baseOf(slot) !== undefined) reloaded++
  })
  return { generation: generation.number, reloaded, failed: failed.sort(), drain }
}
