export const name = 'Globex Corporation'
