export const name = 'Acme Inc.'
