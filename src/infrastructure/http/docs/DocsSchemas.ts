import { html, type Html, prose, separated } from "./Html.ts"
import type { Json } from "../../../contract/openapi/OpenApiParts.ts"

const nameIn = ($ref: string) => $ref.slice($ref.lastIndexOf("/") + 1)

const or = html` <i>or</i> `

const values = (given: unknown) =>
  separated(
    (given as ReadonlyArray<unknown>).map((value) => html`<code>${JSON.stringify(value)}</code>`),
    or
  )

const members = (schema: Json) =>
  Object.entries((schema["properties"] ?? {}) as Readonly<Record<string, Json>>)

const inlineObject = (schema: Json): Html => {
  const all = members(schema).map(([name, member]) => html`<b>${name}</b>: ${typeOf(member)}`)
  return all.length > 0
    ? html`{ ${separated(all, html`, `)} }`
    : typeof schema["additionalProperties"] === "object"
      ? html`object of ${typeOf(schema["additionalProperties"] as Json)}`
      : html`object`
}

// Every integer has these limits, because JSON keeps no larger ones: they say nothing of any single one.
const isLimit = (limit: unknown): limit is number =>
  typeof limit === "number" && Number.isSafeInteger(limit * 2)

const limits = (schema: Json): string =>
  [
    isLimit(schema["minimum"]) || isLimit(schema["maximum"])
      ? ` ${String(schema["minimum"] ?? "…")} to ${String(schema["maximum"] ?? "…")}`
      : "",
    schema["maxLength"] === undefined ? "" : `, at most ${String(schema["maxLength"])} characters`,
    schema["maxItems"] === undefined ? "" : `, at most ${String(schema["maxItems"])}`,
    schema["format"] === undefined ? "" : ` (${String(schema["format"])})`,
    schema["default"] === undefined ? "" : `, default ${JSON.stringify(schema["default"])}`
  ].join("")

/** A schema in a few words, with links to those that have names. */
export const typeOf = (schema: Json): Html => {
  const { $ref, anyOf, const: only, enum: allowed, items, type } = schema
  if (typeof $ref === "string") return html`<a href="#schema-${nameIn($ref)}">${nameIn($ref)}</a>`
  if (anyOf !== undefined) return separated((anyOf as ReadonlyArray<Json>).map(typeOf), or)
  if (allowed !== undefined) return values(allowed)
  if (only !== undefined) return values([only])
  if (type === "array") return html`array of ${typeOf((items ?? {}) as Json)}${limits(schema)}`
  if (type === "object") return inlineObject(schema)
  return html`${typeof type === "string" ? type : "any"}${limits(schema)}`
}

/** JSON, or text, as it is sent. */
export const exampleOf = (value: unknown): Html =>
  html`<pre tabindex="0">${typeof value === "string" ? value : JSON.stringify(value, null, 2)}</pre>`

/** A named schema: its members, and an example where it has one. */
export const schemaSection = (name: string, schema: Json): Html => {
  const required = (schema["required"] ?? []) as ReadonlyArray<string>
  const rows = members(schema).map(
    ([member, it]) =>
      html`<tr>
        <th scope="row">
          <code>${member}</code>${required.includes(member) ? undefined : html` <small>optional</small>`}
        </th>
        <td>${typeOf(it)}</td>
        <td>${prose(String(it["description"] ?? ""))}</td>
      </tr>`
  )
  const [example] = (schema["examples"] ?? []) as ReadonlyArray<unknown>
  return html`<section class="schema" id="schema-${name}">
    <h3>${name}</h3>
    ${schema["description"] === undefined ? undefined : html`<p>${prose(String(schema["description"]))}</p>`}
    ${
      rows.length > 0
        ? html`<div class="wide">
            <table>
              ${rows}
            </table>
          </div>`
        : html`<p>${typeOf(schema)}</p>`
    }
    ${example === undefined ? undefined : exampleOf(example)}
  </section>`
}
