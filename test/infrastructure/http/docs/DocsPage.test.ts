import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { OpenApi } from "effect/http-api"
import { createHash } from "node:crypto"
import { docsPage } from "../../../../src/infrastructure/http/docs/DocsPage.ts"
import { serveFake } from "../TestServer.ts"

describe("the reference page", () => {
  it.live("has every operation and every schema of the document, and only links that lead somewhere", () =>
    Effect.gen(function* () {
      const { call } = yield* serveFake()
      const { headers, text } = yield* call("/docs")
      assert.strictEqual(headers.get("content-type"), "text/html; charset=utf-8")
      const spec = (yield* call("/openapi.json")).json as OpenApi.OpenAPISpec
      const ids = Array.from(text.matchAll(/ id="(.*?)"/g), ([, id]) => id)
      assert.strictEqual(new Set(ids).size, ids.length)
      const operations = Object.values(spec.paths).flatMap((it) => Object.values(it)) as ReadonlyArray<{
        readonly operationId: string
      }>
      assert.isAbove(operations.length, 8)
      assert.includeMembers(ids, [
        ...operations.map(({ operationId }) => operationId),
        ...Object.keys(spec.components.schemas).map((name) => `schema-${name}`)
      ])
      for (const [, href] of text.matchAll(/href="(.*?)"/g))
        assert.include(["openapi.json", ...ids.map((id) => `#${id}`)], href)
      for (const missing of ["undefined", "[object Object]", "NaN"]) assert.notInclude(text, missing)
    })
  )

  it.live("leads to the document with and without a slash at its end", () =>
    Effect.gen(function* () {
      const { call } = yield* serveFake()
      for (const path of ["/docs", "/docs/", "/docs?a=/", "/docs/?a"]) {
        const [, href = ""] = /href="([^"#]*)">openapi.json/.exec((yield* call(path)).text) ?? []
        assert.strictEqual(new URL(href, `http://localhost${path}`).pathname, "/openapi.json", path)
      }
    })
  )

  it.live("runs nothing, loads nothing, and its policy lets nothing but its own style in", () =>
    Effect.gen(function* () {
      const { call } = yield* serveFake()
      const { headers, text } = yield* call("/docs")
      const [, style = ""] = /<style>([^]*?)<\/style>/.exec(text) ?? []
      const hash = createHash("sha256").update(style).digest("base64")
      assert.strictEqual(
        headers.get("content-security-policy"),
        `default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`
      )
      assert.notMatch(text, /<script|<link|<img|<iframe|\ssrc=|\sstyle=|\son\w+=|@import|url\(/i)
    })
  )

  it("escapes what an app's own schema says", () => {
    const nasty = `<script>alert("'&")</script>`
    const page = docsPage(
      {
        info: { title: nasty, version: nasty, description: `\`${nasty}\`` },
        tags: [],
        paths: {},
        components: {
          schemas: {
            [nasty]: {
              description: nasty,
              type: "object",
              properties: { [nasty]: { enum: [nasty], description: nasty } },
              examples: [{ [nasty]: nasty }]
            }
          }
        }
      },
      "openapi.json"
    )
    assert.notInclude(page, "<script")
    assert.include(page, "&lt;script&gt;")
  })
})
