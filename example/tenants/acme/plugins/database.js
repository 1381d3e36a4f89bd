export { tenantDatabase as default } from '../../../database.js'
