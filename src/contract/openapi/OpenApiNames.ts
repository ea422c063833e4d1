import type { OpenApiParts } from "./OpenApiParts.ts"

/** Header names as they are known; HTTP takes any case. */
export const headerName = (name: string): string =>
  name === "etag"
    ? "ETag"
    : name
        .replaceAll(/(?:^|-)\w/g, (first) => first.toUpperCase())
        .replace(/^Last-Event-Id$/, "Last-Event-ID")

/** The same for all headers of an answer. */
export const withHeaderNames = (headers: Readonly<Record<string, unknown>> = {}) =>
  Object.fromEntries(Object.entries(headers).map(([name, header]) => [headerName(name), header]))

const suffix = "Encoded"

const plainName = (name: string): string => (name.endsWith(suffix) ? name.slice(0, -suffix.length) : name)

/** An object of any members says so: it means the same, and generators take one that says nothing for an empty one. */
const openObject = (value: unknown): unknown => {
  if (typeof value !== "object" || value === null || !("type" in value) || value.type !== "object")
    return value
  return "properties" in value || "additionalProperties" in value
    ? value
    : { ...value, additionalProperties: true }
}

/**
 * The document without the suffix that tells the sides of a schema apart. Where both names are taken, the plain one is
 * that of the JSON, and the other the text of a server-sent event, which is not described by a schema here.
 */
export const withPlainNames = (document: OpenApiParts): OpenApiParts => {
  const named = JSON.parse(
    JSON.stringify(document, (key, value: unknown) =>
      key === "$ref" && typeof value === "string" ? plainName(value) : openObject(value)
    )
  ) as OpenApiParts
  const schemas = named.components.schemas
  const renamed = Object.entries(schemas).flatMap(([name, schema]) => {
    const plain = plainName(name)
    return plain !== name && plain in schemas ? [] : [[plain, schema] as const]
  })
  return { ...named, components: { ...named.components, schemas: Object.fromEntries(renamed) } }
}
