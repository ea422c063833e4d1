import { Effect, Layer } from "effect"
import { Environment } from "../Environment.ts"
import * as Migrations from "../infrastructure/postgres/Migrations.ts"
import { client, databaseOf } from "./Composition.ts"
import { references } from "./References.ts"

/** Migrates the database to this version and ends. */
export const migrate = Effect.flatMap(Environment, (settings) =>
  Effect.andThen(
    Migrations.migrateOrExplain,
    Effect.logInfo(`The database ${databaseOf(settings)} is up to date.`)
  ).pipe(Effect.provide(client(settings).pipe(Layer.provideMerge(references(settings)))))
)
