/** The parts of an OpenAPI document that the files in this folder use. */
export interface OpenApiParts {
  readonly info: object
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly components: { readonly schemas: Readonly<Record<string, Json>> } & Readonly<
    Record<string, unknown>
  >
}
/** A JSON object of the document, such as a schema. */
export type Json = Readonly<Record<string, unknown>>
/** An operation. */
export interface Operation {
  readonly operationId: string
  readonly parameters?: ReadonlyArray<Parameter>
  readonly requestBody?: { readonly content: Content }
  readonly responses: Readonly<Record<string, Response>>
}
interface Parameter {
  readonly name: string
  readonly in: string
}
/** A response. */
export interface Response {
  readonly description: string
  readonly headers?: Readonly<Record<string, unknown>>
  readonly content?: Content
}
/** Bodies by their media type. */
export type Content = Readonly<Record<string, { readonly schema: Json }>>

/** A reference to a schema. */
export const reference = (name: string) => ({ $ref: `#/components/schemas/${name}` })

/** The names of the schemas that a schema refers to, directly or in its `anyOf`. */
export const namesIn = (schema: Json): ReadonlyArray<string> =>
  [schema, ...((schema["anyOf"] as ReadonlyArray<Json> | undefined) ?? [])].flatMap(({ $ref }) =>
    typeof $ref === "string" ? [$ref.slice($ref.lastIndexOf("/") + 1)] : []
  )

/** The record with each value replaced. */
export const mapValues = <A, B>(
  record: Readonly<Record<string, A>>,
  f: (value: A, key: string) => B
): Record<string, B> => Object.fromEntries(Object.entries(record).map(([key, value]) => [key, f(value, key)]))
