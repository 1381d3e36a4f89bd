export default { plan: 'pro' }
