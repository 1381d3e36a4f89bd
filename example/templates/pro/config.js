/** The defaults of its customers' configs. A function, even an async one, is called for each customer, with its id and the app. */
export default async () => ({ plan: 'pro' })
