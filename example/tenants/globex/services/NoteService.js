export { NoteService as default } from '../../../notes.js'
