import { Effect } from "effect"
import { execFile } from "node:child_process"
import { randomBytes } from "node:crypto"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { promisify } from "node:util"
import type { Binaries } from "./EmbeddedPostgresBinaries.ts"
import { attempt, EmbeddedPostgresError, runAs } from "./EmbeddedPostgresIdentity.ts"
import { layout } from "./EmbeddedPostgresOwner.ts"

const ours = /^(data|data\.new|password|password\.new|owner|owner\.\d+|lib|lost\+found)$/
const run = promisify(execFile)

/**
 * Creates the directory and returns the owner of the database in it, or undefined if it has no database yet.
 * A directory with other content is refused, because this code, when it runs as root, changes the owner of
 * everything in the directory.
 */
export const openDirectory = Effect.fnUntraced(function* (directory: string) {
  const refuse = (message: string) => Effect.fail(new EmbeddedPostgresError({ message }))
  yield* attempt(() => fs.mkdir(directory, { recursive: true, mode: 0o700 }))
  yield* attempt(() => fs.access(directory, fs.constants.R_OK | fs.constants.W_OK | fs.constants.X_OK))
  const strange = (yield* attempt(() => fs.readdir(directory))).find((entry) => !ours.test(entry))
  if (strange !== undefined) {
    return yield* refuse(
      `The directory ${directory} contains something other than an embedded PostgreSQL (${strange}): set another database.dataDirectory, or DATABASE_URL.`
    )
  }
  const owner = yield* attempt(() => fs.stat(layout(directory).data)).pipe(
    Effect.catchIf(
      (error) => error.code === "ENOENT",
      () => Effect.undefined
    )
  )
  const user = process.geteuid?.() ?? owner?.uid
  if (owner !== undefined && user !== 0 && owner.uid !== user) {
    return yield* refuse(
      `The database in ${directory} belongs to user ${owner.uid}, but this process runs as user ${user}: run it as user ${owner.uid}, or set another database.dataDirectory, or DATABASE_URL.`
    )
  }
  return owner
})

/** The password of the database, generated at the first start and kept in a file that only its owner can read. */
const password = (file: string) =>
  fs.readFile(file, "utf8").catch(async () => {
    await fs.writeFile(`${file}.new`, randomBytes(24).toString("base64url"), { mode: 0o600 })
    await fs.rename(`${file}.new`, file)
    return fs.readFile(file, "utf8")
  })

const initialize = Effect.fnUntraced(function* (directory: string, binaries: Binaries, durable: boolean) {
  const { data, fresh, password: passwordFile } = layout(directory)
  // Created under another name and renamed when complete, so that a crash leaves no incomplete database.
  yield* attempt(() => fs.rm(fresh, { recursive: true, force: true }))
  const locale = ["--encoding=UTF8", "--no-locale", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
  const access = ["--username=postgres", `--pwfile=${passwordFile}`, "--auth=scram-sha-256"]
  const speed = durable ? [] : ["--no-sync"]
  yield* runAs(binaries.identity, binaries.initdb, [
    "-D",
    fresh,
    ...locale,
    ...access,
    ...speed,
    "--no-instructions"
  ]).pipe(
    Effect.catchIf(
      (error) => /could not look up effective user/.test(error.message),
      (cause) =>
        Effect.fail(
          new EmbeddedPostgresError({
            message: `User ${process.geteuid?.()} has no entry in /etc/passwd, without which PostgreSQL cannot be set up: run as a user with an entry, or set DATABASE_URL.`,
            cause
          })
        )
    )
  )
  yield* attempt(() => fs.rename(fresh, data))
})

/** Creates the database at the first start, checks its version at later starts, and returns its password. */
export const prepareDirectory = Effect.fnUntraced(function* (
  directory: string,
  binaries: Binaries,
  durable: boolean
) {
  const { data, password: passwordFile } = layout(directory)
  const { uid } = binaries.identity
  const secret = yield* attempt(() => password(passwordFile))
  if (uid !== undefined) yield* attempt(() => run("chown", ["-R", String(uid), directory]))
  const version = yield* attempt(() => fs.readFile(path.join(data, "PG_VERSION"), "utf8")).pipe(
    Effect.catchIf(
      (error) => error.code === "ENOENT",
      () => initialize(directory, binaries, durable).pipe(Effect.as(binaries.major))
    )
  )
  if (version.trim() !== binaries.major) {
    return yield* new EmbeddedPostgresError({
      message: `The data directory ${directory} was created by PostgreSQL ${version.trim()}, and this is version ${binaries.major}: move it elsewhere, or dump it with version ${version.trim()}, restore the dump on another server and set DATABASE_URL to that server.`
    })
  }
  return secret
})
