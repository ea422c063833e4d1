import { Effect, Redacted } from "effect"
import { EmbeddedPostgres } from "../../../src/infrastructure/embedded-postgres/EmbeddedPostgres.ts"

// A process that runs a database until it is killed. Prints the url, or the sentence of the refusal.
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
