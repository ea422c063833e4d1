import { type Endpoint, endpointSection, resolverOf } from "./DocsEndpoints.ts"
import { schemaSection } from "./DocsSchemas.ts"
import { docsStyle } from "./DocsStyle.ts"
import { html, Html, prose } from "./Html.ts"
import type { Json, OpenApiParts } from "../../../contract/openapi/OpenApiParts.ts"

interface Tag {
  readonly name: string
  readonly description?: string
}
interface Document extends OpenApiParts {
  readonly info: { readonly title: string; readonly version: string; readonly description?: string }
  readonly tags: ReadonlyArray<Tag>
}
const endpointsOf = (document: Document): ReadonlyArray<Endpoint> =>
  Object.entries(document.paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, operation]) => ({
      ...(operation as Endpoint),
      method: method.toUpperCase(),
      path
    }))
  )

const anchor = (name: string) => name.toLowerCase().replaceAll(" ", "-")

/** The OpenAPI document as a page to read. It is complete as it is sent: it runs no script and loads nothing. */
export const docsPage = (spec: unknown, openapi: string): string => {
  const document = spec as Document
  const { description = "", title, version } = document.info
  const endpoints = endpointsOf(document)
  const schemas = Object.entries(document.components.schemas).sort(([a], [b]) => (a < b ? -1 : 1))
  const isProblem = ([, schema]: readonly [string, Json]) =>
    JSON.stringify(schema).includes('"urn:order-platform:')
  const groups = [
    {
      name: "Problems",
      about: "Every error is one of these, with its `type`.",
      shown: schemas.filter(isProblem)
    },
    {
      name: "Schemas",
      about: "What requests and answers are made of.",
      shown: schemas.filter((it) => !isProblem(it))
    }
  ]
  const tagged = document.tags.map((tag) => ({
    ...tag,
    endpoints: endpoints.filter(({ tags }) => tags.includes(tag.name))
  }))
  const page = html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${title}</title>
        ${new Html(`<style>${docsStyle}</style>`)}
      </head>
      <body>
        <nav aria-label="Contents">
          ${tagged.map(
            (tag) =>
              html`<h2><a href="#${anchor(tag.name)}">${tag.name}</a></h2>
                <ul>
                  ${tag.endpoints.map(
                    (it) =>
                      html`<li>
                        <a href="#${it.operationId}"
                          ><b class="method ${it.method}">${it.method}</b> ${it.path}</a
                        >
                      </li>`
                  )}
                </ul>`
          )}
          ${groups.map(
            ({ name, shown }) =>
              html`<h2><a href="#${anchor(name)}">${name}</a></h2>
                <ul>
                  ${shown.map(([schema]) => html`<li><a href="#schema-${schema}">${schema}</a></li>`)}
                </ul>`
          )}
        </nav>
        <main>
          <h1>${title} <small>${version}</small></h1>
          <p>${prose(description)} For programs: <a href="${openapi}">openapi.json</a>.</p>
          ${tagged.map(
            (tag) =>
              html`<h2 id="${anchor(tag.name)}">${tag.name}</h2>
                <p>${prose(tag.description ?? "")}</p>
                ${tag.endpoints.map((it) => endpointSection(it, resolverOf(document)))}`
          )}
          ${groups.map(
            ({ about, name, shown }) =>
              html`<h2 id="${anchor(name)}">${name}</h2>
                <p>${prose(about)}</p>
                ${shown.map(([schema, it]) => schemaSection(schema, it))}`
          )}
        </main>
      </body>
    </html> `
  return page.text
}
