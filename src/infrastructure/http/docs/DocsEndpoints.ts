import { exampleOf, typeOf } from "./DocsSchemas.ts"
import { html, prose } from "./Html.ts"
import type {
  Content,
  Json,
  OpenApiParts,
  Operation,
  Response
} from "../../../contract/openapi/OpenApiParts.ts"

/** An operation, and where it is. */
export interface Endpoint extends Operation {
  readonly method: string
  readonly path: string
  readonly tags: ReadonlyArray<string>
  readonly summary?: string
  readonly description?: string
  readonly security?: ReadonlyArray<Json>
}
type Named = Json & { readonly name?: string; readonly in?: string; readonly required?: boolean }

/** What a reference to a shared parameter or header stands for. */
export const resolverOf =
  (document: OpenApiParts) =>
  (value: Json): Named => {
    const { $ref } = value
    if (typeof $ref !== "string") return value
    const [, , kind = "", name = ""] = $ref.split("/")
    return (
      ((document.components as Readonly<Record<string, Readonly<Record<string, Named>>>>)[kind] ?? {})[
        name
      ] ?? {}
    )
  }

const who: Readonly<Record<string, string>> = {
  clientKey: "a client's or an operator's key",
  operatorKey: "an operator's key"
}

const needs = ({ security = [] }: Endpoint): string => {
  const schemes = security.flatMap((it) => Object.keys(it))
  return schemes.length === 0
    ? "open to everybody"
    : `needs ${schemes.map((it) => who[it] ?? it).join(" or ")}`
}

const row = (name: string, place: string, it: Named) =>
  html`<tr>
    <th scope="row"><code>${name}</code> <small>${place}</small></th>
    <td>${typeOf((it["schema"] ?? {}) as Json)}</td>
    <td>${prose(String(it["description"] ?? (it["schema"] as Json | undefined)?.["description"] ?? ""))}</td>
  </tr>`

const body = (content: Content = {}) =>
  Object.entries(content).map(([type, media]) => {
    const { example, examples = {} } = media as Json & {
      readonly examples?: Readonly<Record<string, { value: unknown }>>
    }
    return html`<p>
        <code>${type}</code>: ${typeOf(media.schema)}. ${prose(String(media.schema["description"] ?? ""))}
      </p>
      ${example === undefined ? undefined : exampleOf(example)}
      ${Object.values(examples).map(({ value }) => exampleOf(value))}`
  })

const answer = (status: string, response: Response, resolve: (value: Json) => Named) => {
  const headers = Object.entries(response.headers ?? {}).map(([name, it]) =>
    row(name, "header", resolve(it as Json))
  )
  return html`<details${status.startsWith("2") ? html` open` : undefined}>
    <summary><b class="s${status.slice(0, 1)}">${status}</b> ${response.description}</summary>
    ${
      headers.length === 0
        ? undefined
        : html`<div class="wide">
            <table>
              ${headers}
            </table>
          </div>`
    }
    ${body(response.content)}
  </details>`
}

/** All that there is to say about an endpoint. */
export const endpointSection = (endpoint: Endpoint, resolve: (value: Json) => Named) => {
  const parameters = (endpoint.parameters ?? []).map((it) => resolve(it as unknown as Json))
  return html`<article id="${endpoint.operationId}">
    <h3><b class="method ${endpoint.method}">${endpoint.method}</b> <code>${endpoint.path}</code></h3>
    <p><strong>${endpoint.summary}</strong> <small>${needs(endpoint)}</small></p>
    ${endpoint.description === undefined ? undefined : html`<p>${prose(endpoint.description)}</p>`}
    <h4>Parameters</h4>
    <div class="wide">
      <table>
        ${parameters.map((it) =>
          row(it.name ?? "", `${it.in ?? ""}${it.required === true ? ", required" : ""}`, it)
        )}
      </table>
    </div>
    ${
      endpoint.requestBody === undefined
        ? undefined
        : html`<h4>Body</h4>
            ${body(endpoint.requestBody.content)}`
    }
    <h4>Answers</h4>
    ${Object.entries(endpoint.responses).map(([status, response]) => answer(status, response, resolve))}
  </article>`
}
