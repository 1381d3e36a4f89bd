import type { Slot } from '../generations/slot.ts'
import type { Generation } from './generation.ts'
import type { DrainReport, TenantDefinition } from '../../types/index.ts'

/** One tenant's place in memory. */
export type TenantSlot = Slot<Generation, TenantDefinition, DrainReport>
