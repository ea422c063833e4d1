import { type Json, namesIn } from "./OpenApiParts.ts"

type Schemas = Readonly<Record<string, Json>>

/**
 * Describes the alternatives of an order by `oneOf`, because it has exactly one type. Effect describes them by `anyOf`.
 */
export const withOneOfTypes = (schemas: Schemas): Schemas => {
  const { anyOf, ...order } = schemas["SubmitOrder"] ?? {}
  return anyOf === undefined ? schemas : { ...schemas, SubmitOrder: { ...order, oneOf: anyOf } }
}

/** What the app's schemas say about an example of an order. */
export interface ExampleOrder {
  /** The first type, if the types are declared. */
  readonly type?: string
  /** The example payload of that type, if its schema has one. */
  readonly payload?: unknown
}

/** An example of an order in the app's schemas. */
export const exampleOrderIn = (schemas: Schemas): ExampleOrder => {
  const { oneOf = [], ...only } = schemas["SubmitOrder"] ?? {}
  const [first = only] = (oneOf as ReadonlyArray<Json>).flatMap((member) => resolve(member, schemas))
  const { payload = {}, type = {} } = (first["properties"] ?? {}) as Schemas
  const [name] = (type["enum"] ?? []) as ReadonlyArray<string>
  const [example] = resolve(payload, schemas).flatMap(
    ({ examples }) => (examples ?? []) as ReadonlyArray<unknown>
  )
  return {
    ...(name !== undefined && { type: name }),
    ...(example !== undefined && { payload: example })
  }
}

/** The schemas that a schema refers to, or the schema itself if it refers to none. */
const resolve = (schema: Json, schemas: Schemas): ReadonlyArray<Json> => {
  const names = namesIn(schema)
  return names.length === 0 ? [schema] : names.map((name) => schemas[name] ?? {})
}
