import { Effect } from "effect"
import { startProxy } from "../chaos/Proxy.ts"
import { databaseUrl } from "./TestPostgres.ts"

/**
 * A proxy between the clients of its `url` and the database of the test run, which can cut, hold and drop their
 * traffic.
 */
export const postgresProxy = Effect.gen(function* () {
  const url = new URL(databaseUrl())
  const proxy = yield* Effect.acquireRelease(
    Effect.promise(() => startProxy(Number(url.port || 5432), url.hostname)),
    ({ close }) => Effect.promise(close)
  )
  url.hostname = "127.0.0.1"
  url.port = String(proxy.port)
  return { ...proxy, url: url.href }
})
