// A client generated from /openapi.json by a public generator: the document passes a linter, the client compiles in
// strict mode, and a real server answers as the document says. `npm run test:openapi`.

import { Data, Effect, Layer, Redacted } from "effect"
import { execFile } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { ApiKeys } from "../../src/infrastructure/http/edge/Caller.ts"
import { serveMemoryWith } from "../infrastructure/http/TestServer.ts"

const client = fileURLToPath(new URL("client/", import.meta.url))
const document = path.join(client, "openapi.json")
const bin = (name: string) => path.join(client, "node_modules", name)

const keys = { CLIENT_KEY: "the-secret-of-the-shop", OPERATOR_KEY: "the-secret-of-ann-the-operator" }

const withKeys = Layer.succeed(ApiKeys, {
  clients: [{ name: "shop", secret: Redacted.make(keys.CLIENT_KEY) }],
  operators: [{ name: "ann", secret: Redacted.make(keys.OPERATOR_KEY) }]
})

class StepFailed extends Data.TaggedError("StepFailed")<{
  readonly message: string
  readonly cause: unknown
}> {}

const node = (what: string, args: ReadonlyArray<string>, env: Readonly<Record<string, string>> = {}) =>
  Effect.tryPromise({
    try: (signal) =>
      promisify(execFile)(process.execPath, args, {
        cwd: client,
        env: { ...process.env, ...env },
        timeout: 60_000,
        signal
      }),
    catch: (cause) => {
      const { stderr, stdout } = cause as { readonly stdout?: string; readonly stderr?: string }
      return new StepFailed({ message: `not so: ${what}\n${stdout ?? ""}${stderr ?? ""}`, cause })
    }
  }).pipe(Effect.andThen(Effect.log(what)))

const main = Effect.gen(function* () {
  const { call, failed, port } = yield* serveMemoryWith(withKeys)
  const { text } = yield* call("/openapi.json")
  fs.writeFileSync(document, text)
  yield* node("the document has nothing that a linter minds", ["lint.ts", "openapi.json"])
  yield* node("types are generated", [
    bin("openapi-typescript/bin/cli.js"),
    "openapi.json",
    "-o",
    "schema.d.ts"
  ])
  yield* node("the client compiles", [bin("typescript/bin/tsc"), "-p", "."])
  yield* node("the round trip is as the types say", ["roundTrip.ts"], {
    ...keys,
    BASE_URL: `http://127.0.0.1:${port}`,
    FAILED_ID: yield* failed
  })
})

await Effect.runPromise(Effect.scoped(main))
