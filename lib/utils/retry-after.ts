/** Adds a Retry-After header to an error. Fastify sends it with the response. `seconds` is a whole number. */
export function retryAfter<Refusal extends Error> (error: Refusal, seconds: number): Refusal {
  return Object.assign(error, { headers: { 'retry-after': String(seconds) } })
}
