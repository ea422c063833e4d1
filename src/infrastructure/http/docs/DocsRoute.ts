import { Effect, Layer } from "effect"
import { Base64 } from "effect/encoding"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { type HttpApi, type HttpApiGroup, HttpApiSwagger } from "effect/http-api"

const sha256 = (text: string) =>
  Effect.map(
    Effect.promise(() => globalThis.crypto.subtle.digest("SHA-256", new TextEncoder().encode(text))),
    (digest) => Base64.encode(new Uint8Array(digest))
  )

/** The sources of a Content-Security-Policy that allows exactly the page's inline elements with this tag. */
const inline = (tag: "script" | "style", page: string) =>
  Effect.map(
    Effect.forEach(page.matchAll(new RegExp(`<${tag}>([^]*?)</${tag}>`, "g")), ([, text = ""]) =>
      sha256(text)
    ),
    (hashes) => hashes.map((hash) => `'sha256-${hash}'`).join(" ")
  )

/**
 * Adds a Content-Security-Policy that allows the page's own content and calls to its own server. Also adds an
 * ETag, because the page is large.
 */
const protectPage = Effect.fnUntraced(function* (response: HttpServerResponse.HttpServerResponse) {
  const page = yield* Effect.promise(() => HttpServerResponse.toWeb(response).text())
  const policy = [
    "default-src 'none'",
    `script-src ${yield* inline("script", page)}`,
    `style-src ${yield* inline("style", page)}`,
    "img-src data:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'"
  ]
  return HttpServerResponse.setHeaders(response, {
    "content-security-policy": policy.join("; "),
    "cache-control": "no-cache",
    etag: `"${yield* sha256(page)}"`
  })
})

/** The page as `HttpApiSwagger` makes it. Its script of 2 MB is loaded only when the page is made. */
const swaggerPage = <Id extends string, Groups extends HttpApiGroup.Constraint>(
  api: HttpApi.HttpApi<Id, Groups>
) =>
  Effect.scoped(
    Effect.gen(function* () {
      const router = yield* HttpRouter.make
      const routes = HttpApiSwagger.layer(api, { path: "/*" })
      yield* Layer.build(Layer.provide(routes, Layer.succeed(HttpRouter.HttpRouter, router)))
      return yield* router.asHttpEffect()
    })
  )

/**
 * Serves the reference page of an API at this path: the Swagger UI that Effect ships, made at the first
 * request. The page loads nothing from other servers, and can call the server that serves it.
 */
export const layerDocs = <Id extends string, Groups extends HttpApiGroup.Constraint>(
  api: HttpApi.HttpApi<Id, Groups>,
  path: HttpRouter.PathInput
) =>
  HttpRouter.use(
    Effect.fnUntraced(function* (router) {
      let made: HttpServerResponse.HttpServerResponse | undefined
      yield* router.add(
        "GET",
        path,
        Effect.fnUntraced(function* ({ headers }) {
          const page = (made ??= yield* Effect.flatMap(swaggerPage(api), protectPage))
          return headers["if-none-match"] === page.headers["etag"]
            ? HttpServerResponse.empty({ status: 304, headers: page.headers })
            : page
        })
      )
    })
  )

/** Serves the OpenAPI document at this path. The document is made at the first request. */
export const layerOpenApi = (path: HttpRouter.PathInput, document: () => unknown) =>
  HttpRouter.use(
    Effect.fnUntraced(function* (router) {
      yield* router.add(
        "GET",
        path,
        yield* Effect.cached(Effect.sync(() => HttpServerResponse.jsonUnsafe(document())))
      )
    })
  )
