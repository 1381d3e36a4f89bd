export class Chance {
  constructor (...seeds: number[])
  number (): number
  below (limit: number): number
  happens (probability: number): boolean
  oneOf<Item> (list: readonly Item[]): Item
  weighted<Name extends string> (weights: Record<Name, number>): Name
}
