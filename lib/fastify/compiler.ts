/** Turns a route's schema into a function that validates or serializes. */
export type Compile = (route: { schema: unknown }) => unknown

/** Makes a compiler from the schemas that routes may refer to. The options are those of the app. */
export type Build = (schemas: unknown, options: unknown) => Compile
