/** The same error with a Retry-After header, which Fastify sends with it. `seconds` are whole. */
export function retryAfter<Refusal extends Error> (error: Refusal, seconds: number): Refusal {
  return Object.assign(error, { headers: { 'retry-after': String(seconds) } })
}
