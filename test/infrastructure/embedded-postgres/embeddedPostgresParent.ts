import { Effect, Redacted } from "effect"
import { EmbeddedPostgres } from "../../../src/infrastructure/embedded-postgres/EmbeddedPostgres.ts"

// A process of its own that runs a database until it is killed. Says the url, or the sentence it was refused with.
const [, , dataDirectory = ""] = process.argv
const program = Effect.gen(function* () {
  const postgres = yield* EmbeddedPostgres
  console.log(Redacted.value(postgres.url))
  return yield* Effect.never
}).pipe(
  Effect.provide(EmbeddedPostgres.layer({ dataDirectory })),
  Effect.catch((error) => Effect.sync(() => console.log(error.message)))
)
Effect.runFork(program)
