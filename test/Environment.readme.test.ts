import { NodeServices } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import { settingsTable } from "./SettingsTable.ts"

it.effect("README.md lists every setting with its variable, default and meaning", () =>
  Effect.gen(function* () {
    const readme = yield* (yield* FileSystem.FileSystem).readFileString("README.md")
    const listed = /<!-- settings -->\n+([^]*?)\n+<!-- \/settings -->/.exec(readme)?.[1]
    // Column widths are the formatter's business.
    const plain = (table: string | undefined) => table?.replaceAll(/ +/g, " ").replaceAll(/ ?-{3,} ?/g, "---")
    assert.strictEqual(plain(listed), plain(settingsTable()))
  }).pipe(Effect.provide(NodeServices.layer))
)
