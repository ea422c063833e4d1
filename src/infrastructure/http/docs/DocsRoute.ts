import { Effect } from "effect"
import { Base64 } from "effect/encoding"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { docsPage } from "./DocsPage.ts"
import { docsStyle } from "./DocsStyle.ts"

const hashOf = (text: string) =>
  Effect.map(
    Effect.promise(() => globalThis.crypto.subtle.digest("SHA-256", new TextEncoder().encode(text))),
    (digest) => Base64.encode(new Uint8Array(digest))
  )

/**
 * The page at this path, made when first asked for. A bundle of a library is megabytes of script that sets styles as it
 * runs, and so needs a policy that lets others do that too; this page needs its own style and nothing else.
 */
export const layerDocs = (path: HttpRouter.PathInput, document: () => unknown) =>
  HttpRouter.use(
    Effect.fnUntraced(function* (router) {
      const pageThatLinksTo = (openapi: string) =>
        Effect.cached(
          Effect.map(hashOf(docsStyle), (hash) =>
            HttpServerResponse.text(docsPage(document(), openapi), {
              contentType: "text/html; charset=utf-8",
              headers: {
                "content-security-policy": `default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`
              }
            })
          )
        )
      // Relative, wherever the app has mounted them; and a slash at the end is a step deeper.
      const page = yield* pageThatLinksTo("openapi.json")
      const pageWithSlash = yield* pageThatLinksTo("../openapi.json")
      yield* router.add("GET", path, ({ url }) => (/^[^?]*\/(?:\?|$)/.test(url) ? pageWithSlash : page))
    })
  )

/** The OpenAPI document at this path, made when first asked for. */
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
