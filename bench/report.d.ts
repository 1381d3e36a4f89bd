export interface Figure {
  bench: string
  figure: string
  tenants?: number
  value: number
  /** The least and the greatest value of several starts or rounds. */
  spread?: string
  unit: string
  atLeast?: number
  atMost?: number
  why?: string
}

export interface Results {
  machine: { node: string, cpu: string, cores: number, quick: boolean }
  figures: Figure[]
}

export function report (results: Results): Record<string, string>
