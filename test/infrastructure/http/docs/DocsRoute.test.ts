import { assert, beforeEach, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { createHash } from "node:crypto"
import { openPage, skipWithoutBrowser } from "../../../Browser.ts"
import { serveFake } from "../TestServer.ts"
import { isWholeForm } from "../../../WholeForm.ts"

const hashOf = (page: string, tag: "script" | "style") => {
  const [, text = ""] = new RegExp(`<${tag}>([^]*?)</${tag}>`).exec(page) ?? []
  return createHash("sha256").update(text).digest("base64")
}

describe("the reference page", () => {
  it.live("shows the document of /openapi.json", () =>
    Effect.gen(function* () {
      const { call } = yield* serveFake()
      const { headers, text } = yield* call("/docs")
      assert.match(headers.get("content-type") ?? "", /^text\/html/)
      const [, spec = ""] =
        /<script id="swagger-spec" type="application\/json">([^]*?)<\/script>/.exec(text) ?? []
      assert.deepStrictEqual(JSON.parse(spec), (yield* call("/openapi.json")).json)
    })
  )

  it.live("has a policy that allows its own script and style, and calls to its own server", () =>
    Effect.gen(function* () {
      const { call } = yield* serveFake()
      const { headers, text } = yield* call("/docs")
      assert.strictEqual(
        headers.get("content-security-policy"),
        `default-src 'none'; script-src 'sha256-${hashOf(text, "script")}'; style-src 'sha256-${hashOf(text, "style")}'; ` +
          `img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`
      )
    })
  )

  it.live("is sent once: a browser that has cached it gets a 304", () =>
    Effect.gen(function* () {
      const { call } = yield* serveFake()
      const first = yield* call("/docs")
      const etag = first.headers.get("etag") ?? ""
      assert.strictEqual(first.headers.get("cache-control"), "no-cache")
      const again = yield* call("/docs", { headers: { "if-none-match": etag }, cache: "no-store" })
      assert.deepStrictEqual([again.status, again.text, again.headers.get("etag")], [304, "", etag])
      const other = yield* call("/docs", { headers: { "if-none-match": '"other"' }, cache: "no-store" })
      assert.strictEqual(other.status, 200)
    })
  )
})

describe("the reference page in Chromium", () => {
  beforeEach(skipWithoutBrowser)

  it.live.runIf(isWholeForm)(
    "renders every operation, calls its server, loads nothing else and violates no policy",
    () =>
      Effect.gen(function* () {
        const { call, port } = yield* serveFake()
        const { paths } = (yield* call("/openapi.json")).json as {
          readonly paths: Readonly<Record<string, Readonly<Record<string, unknown>>>>
        }
        const page = yield* openPage
        const violations: Array<string> = []
        const requested: Array<string> = []
        page.on("console", (message) => void violations.push(message.text()))
        page.on("pageerror", (error) => void violations.push(error.message))
        page.on("request", (request) => void requested.push(new URL(request.url()).host))
        const shown = yield* Effect.promise(async () => {
          await page.goto(`http://127.0.0.1:${port}/docs`)
          await page.locator(".opblock").first().waitFor()
          const operations = await page.locator(".opblock").count()
          await page.locator(".opblock", { hasText: "/health/live" }).click()
          await page.getByText("Try it out").click()
          await page.getByText("Execute", { exact: true }).click()
          const answer = await page
            .locator(".live-responses-table .response .response-col_description")
            .innerText()
          return { operations, answer }
        })
        const operations = Object.values(paths).flatMap((path) => Object.keys(path))
        assert.strictEqual(shown.operations, operations.length)
        assert.match(shown.answer, /"status": "up"/)
        assert.deepStrictEqual(
          violations.filter((text) => !text.includes("favicon.ico")),
          []
        )
        assert.deepStrictEqual(new Set(requested), new Set([`127.0.0.1:${port}`]))
      })
  )
})
