import { Context, Effect, Exit, Layer, Redacted, Scope } from "effect"
import * as fs from "node:fs/promises"
import * as os from "node:os"
import { execFile } from "node:child_process"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import type { TestProject } from "vitest/node"
import { EmbeddedPostgres } from "../src/infrastructure/embedded-postgres/EmbeddedPostgres.ts"

declare module "vitest" {
  interface ProvidedContext {
    /** One PostgreSQL for the whole run; suites use separate schemas or databases. */
    databaseUrl: string
  }
}

const program = fileURLToPath(new URL("../bin/order-platform.js", import.meta.url))

/**
 * Fills Node's compile cache for the processes that the tests start, since compiling is about a quarter of a start.
 * Only a process that exits by itself writes the cache, and tests kill most of theirs, so one is run for it.
 */
const fillCompileCache = async (directory: string) => {
  process.env.NODE_COMPILE_CACHE ??= path.join(directory, "compiled")
  // If it fails, the tests of the program report that.
  await promisify(execFile)(process.execPath, [program, "--version"]).catch(() => undefined)
}

/** Provides `databaseUrl`: the server of DATABASE_URL, else an embedded one in a temporary directory. */
export default async function setup({ provide }: TestProject) {
  const directory = await fs.mkdtemp(path.join(os.tmpdir(), "order-platform-tests-"))
  const scope = Scope.makeUnsafe()
  const close = async () => {
    await Effect.runPromise(Scope.close(scope, Exit.void))
    await fs.rm(directory, { recursive: true, force: true, maxRetries: 3 })
  }
  const filled = fillCompileCache(directory)
  const given = process.env.DATABASE_URL
  if (given) {
    provide("databaseUrl", given)
    await filled
    return close
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
  await filled
  return close
}
