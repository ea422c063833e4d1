import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { connect } from "../../chaos/Sql.ts"
import { eventually, run } from "../processes/OrderPlatformProcess.ts"
import { ownServer } from "./OwnServer.ts"

/** The exit code and output of a command on this database. */
const ended = Effect.fnUntraced(function* (command: string, url: string) {
  const process = yield* run({ arguments: [command], environment: { SERVER_PORT: 0, DATABASE_URL: url } })
  const { code } = yield* process.exit
  return { code, stderr: process.stderr() }
})

describe("a start", () => {
  it.live("on a standby, empty or not, ends with one sentence, and so does migrate", () =>
    Effect.gen(function* () {
      const primary = yield* ownServer()
      const standby = yield* ownServer({
        create: (data, run) =>
          run("pg_basebackup", ["-d", primary.url, "-D", data, "-R", "-X", "stream", "-c", "fast"])
      })
      for (const command of ["serve", "migrate"]) {
        const { code, stderr } = yield* ended(command, standby.url)
        assert.strictEqual(code, 1)
        assert.match(
          stderr,
          /^The database postgres cannot be used: it is a standby [^\n]+SQLSTATE 25006\); name the primary in database\.url\.\n$/
        )
      }
    }).pipe(Effect.scoped)
  )

  it.live(
    "that waits for a locked table logs which one and who holds it, and continues when it is released",
    () =>
      Effect.gen(function* () {
        const { url } = yield* ownServer()
        assert.strictEqual((yield* ended("migrate", url)).code, 0)
        const holder = yield* Effect.acquireRelease(
          Effect.sync(() => connect(url)),
          ({ close }) => Effect.promise(close)
        )
        // One connection each: the lock lasts as long as this statement.
        const held = yield* Effect.forkChild(
          Effect.promise(() =>
            holder.query("DO $$ BEGIN LOCK TABLE order_platform_migrations; PERFORM pg_sleep(12); END $$")
          )
        )
        yield* Effect.sleep("1 second")
        const process = yield* run({
          arguments: ["migrate"],
          environment: { LOG_FORMAT: "json", DATABASE_URL: url }
        })
        yield* eventually(
          "it logs which lock it waits for and who holds it",
          Effect.sync(
            () =>
              /Waiting for a lock on order_platform_migrations, held by the server process \d+ \(chaos, role postgres, active/.test(
                process.stdout()
              ) || undefined
          ),
          "11 seconds"
        )
        assert.strictEqual((yield* process.exit).code, 0)
        held.interruptUnsafe()
      }).pipe(Effect.scoped)
  )
})
