/** The routes of the other template. Here they check a note against this template's schema. */
export { default } from '../../../standard/routes/notes/index.js'
