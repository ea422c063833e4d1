import { Effect } from "effect"
import { chmod, mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { connect } from "../../chaos/Sql.ts"
import { type ServerOptions, startPostgres } from "../../chaos/PostgresServer.ts"

/** A directory readable by every user. */
export const directory = Effect.acquireRelease(
  Effect.promise(async () => {
    const path = await mkdtemp(join(tmpdir(), "order-platform-server-"))
    await chmod(path, 0o755)
    return path
  }),
  (path) => Effect.promise(() => rm(path, { recursive: true, force: true, maxRetries: 3 }))
)

/** Runs statements on a connection of its own. */
export const connected = Effect.fnUntraced(function* (url: string) {
  const sql = yield* Effect.acquireRelease(
    Effect.sync(() => connect(url)),
    ({ close }) => Effect.promise(close)
  )
  return (statement: string) => Effect.promise(() => sql.query<Record<string, unknown>>(statement))
})

/** A PostgreSQL server for one test, and a client as its superuser. */
export const ownServer = Effect.fnUntraced(function* (options: ServerOptions = {}) {
  const path = yield* directory
  const server = yield* Effect.acquireRelease(
    Effect.promise(() => startPostgres(path, options)),
    ({ stop }) => Effect.promise(stop)
  )
  return { ...server, query: yield* connected(server.url) }
})
