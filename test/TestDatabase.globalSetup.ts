import { Context, Effect, Exit, Layer, Redacted, Scope } from "effect"
import * as fs from "node:fs/promises"
import * as os from "node:os"
import { execFile } from "node:child_process"
import * as path from "node:path"
import { promisify } from "node:util"
import type { TestProject } from "vitest/node"
import { EmbeddedPostgres } from "../src/infrastructure/embedded-postgres/EmbeddedPostgres.ts"
import { bundlePrograms, type Programs, sourcePrograms } from "./BundledProgram.ts"
import { isWholeForm } from "./WholeForm.ts"

declare module "vitest" {
  interface ProvidedContext {
    /** One PostgreSQL for the whole run; suites use separate schemas or databases. */
    databaseUrl: string
    /** What the tests of processes start. */
    programs: Programs
  }
}

/**
 * Fills Node's compile cache for the processes that the tests start. Only a process that exits by itself writes the
 * cache, and tests kill most of theirs, so one is run for it.
 */
const fillCompileCache = async (directory: string, { orderPlatform }: Programs) => {
  process.env.NODE_COMPILE_CACHE ??= path.join(directory, "compiled")
  // If it fails, the tests of the program report that.
  await promisify(execFile)(process.execPath, [orderPlatform, "--version"]).catch(() => undefined)
}

/** The programs as bundles; in the whole form the sources, so that CI runs both. */
const preparePrograms = async (directory: string) => {
  const prepared = isWholeForm ? { programs: sourcePrograms, remove: async () => {} } : await bundlePrograms()
  await fillCompileCache(directory, prepared.programs)
  return prepared
}

/** Provides `programs`, and `databaseUrl`: the server of DATABASE_URL, else an embedded one in a temporary directory. */
export default async function setup({ provide }: TestProject) {
  const directory = await fs.mkdtemp(path.join(os.tmpdir(), "order-platform-tests-"))
  const scope = Scope.makeUnsafe()
  const close = async () => {
    await Effect.runPromise(Scope.close(scope, Exit.void))
    await (await preparing).remove()
    await fs.rm(directory, { recursive: true, force: true, maxRetries: 3 })
  }
  const preparing = preparePrograms(directory)
  const given = process.env.DATABASE_URL
  if (given) {
    provide("databaseUrl", given)
    provide("programs", (await preparing).programs)
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
  provide("programs", (await preparing).programs)
  return close
}
