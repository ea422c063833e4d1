import type { Chance } from "./Chance.ts"
import { nastyEscape, nastyJson, nastyText } from "./Nasties.ts"

interface JsonSchema {
  readonly $ref?: string
  readonly type?: string | ReadonlyArray<string>
  readonly enum?: ReadonlyArray<unknown>
  readonly anyOf?: ReadonlyArray<JsonSchema>
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly items?: JsonSchema
}

interface Parameter {
  readonly $ref?: string
  readonly name: string
  readonly in: string
  readonly schema?: JsonSchema
}

interface Operation {
  readonly parameters?: ReadonlyArray<Parameter>
  readonly requestBody?: { readonly content?: Readonly<Record<string, { readonly schema?: JsonSchema }>> }
}

/** The parts of an OpenAPI document that requests are generated from. */
export interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly components?: unknown
}

/** A request as text, which need not be valid HTTP. */
export interface FuzzedRequest {
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | undefined
}

/** Generates requests that follow the document and requests that break it. `ids` are existing orders. */
export const requestsFrom = (document: Document, ids: ReadonlyArray<string>) => {
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation }))
  )
  const resolve = <A extends { readonly $ref?: string }>(node: A): A =>
    node.$ref === undefined
      ? node
      : (node.$ref
          .split("/")
          .slice(1)
          .reduce<unknown>((at, key) => (at as Record<string, unknown>)[key], document) as A)

  const valueOf = (given: JsonSchema, chance: Chance, depth = 0): unknown => {
    const schema = resolve(given)
    const { anyOf, properties, type } = schema
    if (depth > 6) return null
    if (schema.enum !== undefined) return schema.enum[chance.below(schema.enum.length)]
    if (anyOf !== undefined) return valueOf(anyOf[chance.below(anyOf.length)] ?? {}, chance, depth + 1)
    if (type === "integer" || type === "number") return chance.pick([0, 1, 3, 9, 10, 100, -1, 1.5, 2 ** 53])
    if (type === "boolean") return chance.percent(50)
    if (type === "array")
      return Array.from({ length: chance.below(4) }, () => valueOf(schema.items ?? {}, chance, depth + 1))
    if (type === "object" || properties !== undefined) {
      const entries = Object.entries(properties ?? {})
        .filter(() => chance.percent(50))
        .map(([key, value]) => [key, valueOf(value, chance, depth + 1)])
      if (chance.percent(15)) entries.push([nastyText(chance), nastyText(chance)])
      return Object.fromEntries(entries) as unknown
    }
    return chance.pick<() => unknown>([
      () => nastyText(chance),
      () => "2026-11-22T12:00:00Z",
      () => "x",
      () => null,
      () => 7,
      () => ({ a: [1, { b: "c" }] })
    ])()
  }
  const idOr = (nasty: string, chance: Chance) =>
    ids.length > 0 && chance.percent(60) ? (ids[chance.below(ids.length)] ?? nasty) : nasty

  return (chance: Chance): FuzzedRequest => {
    const { method, operation, path } = operations[chance.below(operations.length)] ?? {
      method: "GET",
      path: "/",
      operation: {}
    }
    const parameters = (operation.parameters ?? []).map(resolve)
    const query = parameters
      .filter(({ in: part }) => part === "query" && chance.percent(35))
      .map(({ name, schema }) => {
        const plain = schema === undefined ? nastyText(chance) : valueOf(schema, chance)
        const value = chance.percent(50)
          ? encodeURIComponent(
              typeof plain === "string" ? plain.toWellFormed() : (JSON.stringify(plain) ?? "")
            )
          : nastyEscape(chance)
        return `${name === "metadata" ? `metadata.${nastyEscape(chance)}` : name}=${value}`
      })
    if (chance.percent(10)) query.push(`${nastyEscape(chance)}=${nastyEscape(chance)}`)
    if (chance.percent(5)) query.push(...query)
    const filled = path.replaceAll(/\{\w+\}/g, () => idOr(nastyEscape(chance), chance))
    const headers: Record<string, string> = {}
    const headerText = () => nastyText(chance).replaceAll(/[^\t\x20-\x7e\x80-\xff]/g, "?")
    for (const { in: part, name } of parameters) {
      if (part === "header" && chance.percent(25)) headers[name.toLowerCase()] = headerText()
    }
    if (chance.percent(10))
      headers["accept"] = chance.pick(["*/*", "image/png", "application/json", ";;q", ""])
    if (chance.percent(5)) headers["origin"] = "https://evil.example"
    if (chance.percent(5)) headers["if-none-match"] = headerText()
    const wrong = chance.percent(7)
    const sent = wrong ? chance.pick(["PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "POST", "QUERY"]) : method
    const bodySchema = operation.requestBody?.content?.["application/json"]?.schema
    const takesBody = sent !== "GET" && sent !== "HEAD"
    const body =
      takesBody && (bodySchema !== undefined || chance.percent(20))
        ? chance.percent(60)
          ? JSON.stringify(valueOf(bodySchema ?? {}, chance))
          : nastyJson(chance)
        : undefined
    if (body !== undefined) {
      headers["content-type"] = chance.percent(90)
        ? "application/json"
        : chance.pick([
            "text/plain",
            "application/json; charset=utf-16",
            "Application/JSON; v=1; charset=UTF8",
            'application/json; x="\\";"',
            `application/json;${" ;".repeat(chance.below(600))}`,
            "",
            "multipart/form-data",
            "a/b/c"
          ])
      if (chance.percent(3)) headers["content-encoding"] = "gzip"
      // For some methods Node's client would send a body without its length, which reads as another request.
      headers["content-length"] = String(Buffer.byteLength(body))
    }
    return {
      method: sent,
      path: `${chance.percent(3) ? `/${nastyEscape(chance)}` : filled}${query.length > 0 ? `?${query.join("&")}` : ""}`,
      headers,
      body
    }
  }
}
