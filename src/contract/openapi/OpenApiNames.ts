import type { OpenApiParts } from "./OpenApiParts.ts"

/** A header name in its usual spelling. HTTP ignores the case. */
export const headerName = (name: string): string =>
  name === "etag"
    ? "ETag"
    : name
        .replaceAll(/(?:^|-)\w/g, (first) => first.toUpperCase())
        .replace(/^Last-Event-Id$/, "Last-Event-ID")

/** The headers of a response under their usual names. */
export const withHeaderNames = (headers: Readonly<Record<string, unknown>> = {}) =>
  Object.fromEntries(Object.entries(headers).map(([name, header]) => [headerName(name), header]))

const suffix = "Encoded"

const plainName = (name: string): string => (name.endsWith(suffix) ? name.slice(0, -suffix.length) : name)

/**
 * Makes `additionalProperties` explicit: the meaning is the same, but without it generators assume an empty
 * object.
 */
const openObject = (value: unknown): unknown => {
  if (typeof value !== "object" || value === null || !("type" in value) || value.type !== "object")
    return value
  return "properties" in value || "additionalProperties" in value
    ? value
    : { ...value, additionalProperties: true }
}

/**
 * The document without the suffix that effect adds to the names of encoded schemas. If both names exist, the
 * schema with the suffix is dropped: it describes the text of a server-sent event, which the document shows
 * as an example.
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
