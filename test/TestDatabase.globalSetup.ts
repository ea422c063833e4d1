import { Context, Effect, Exit, Layer, Redacted, Scope } from "effect"
import * as fs from "node:fs/promises"
import * as os from "node:os"
import * as path from "node:path"
import type { TestProject } from "vitest/node"
import { EmbeddedPostgres } from "../src/infrastructure/postgres/EmbeddedPostgres.ts"

declare module "vitest" {
  interface ProvidedContext {
    /** One PostgreSQL for the whole run; suites keep apart by schemas or databases of their own. */
    databaseUrl: string
  }
}

/** Provides `databaseUrl`: the server of DATABASE_URL, else an embedded one in a temporary directory. */
export default async function setup({ provide }: TestProject) {
  const given = process.env.DATABASE_URL
  if (given) {
    provide("databaseUrl", given)
    return undefined
  }
  const directory = await fs.mkdtemp(path.join(os.tmpdir(), "order-platform-tests-"))
  const scope = Scope.makeUnsafe()
  const close = async () => {
    await Effect.runPromise(Scope.close(scope, Exit.void))
    await fs.rm(directory, { recursive: true, force: true, maxRetries: 3 })
  }
  const layer = EmbeddedPostgres.layer({
    dataDirectory: path.join(directory, "postgres"),
    durable: false,
    maxConnections: 200
  })
  const context = await Effect.runPromise(Layer.buildWithScope(layer, scope)).catch(async (error) => {
    await close()
    throw error
  })
  provide("databaseUrl", Redacted.value(Context.get(context, EmbeddedPostgres).url))
  return close
}
