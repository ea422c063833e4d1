import { Effect, Predicate, Schema } from "effect"
import { execFile } from "node:child_process"
import * as fs from "node:fs/promises"
import * as os from "node:os"
import { promisify } from "node:util"

/** The embedded PostgreSQL cannot run; the message is one sentence with the reason and the remedy. */
export class EmbeddedPostgresError extends Schema.TaggedError<EmbeddedPostgresError>()(
  "EmbeddedPostgresError",
  {
    message: Schema.String,
    cause: Schema.optionalKey(Schema.Defect())
  }
) {}

/** An operation of Node on a file or a process failed; the message is the last line of its error. */
export class NodeFailed extends Schema.TaggedError<NodeFailed>()("NodeFailed", { cause: Schema.Defect() }) {
  get code(): unknown {
    return Predicate.hasProperty(this.cause, "code") ? this.cause.code : undefined
  }
  override get message(): string {
    const { cause } = this
    const reason = Predicate.hasProperty(cause, "stderr") && cause.stderr ? cause.stderr : cause
    return (
      String(reason instanceof Error ? reason.message : reason)
        .trim()
        .split("\n")
        .at(-1) ?? ""
    )
  }
}

export interface User {
  readonly uid: number
  readonly gid: number
}

/**
 * How a program of PostgreSQL is started: never as root, and without the environment of this process, which may contain
 * secrets.
 */
export interface Identity {
  readonly prefix: ReadonlyArray<string>
  /** Set when the files must belong to a user other than that of this process. */
  readonly uid?: number
  readonly options: {
    readonly uid?: number
    readonly gid?: number
    readonly cwd?: string
    readonly env?: NodeJS.ProcessEnv
  }
}

const run = promisify(execFile)

/** A promise of Node as an effect. */
export const attempt = <A>(f: () => Promise<A>) =>
  Effect.tryPromise({ try: f, catch: (cause) => new NodeFailed({ cause }) })

/** Runs a program of PostgreSQL to its end; fails with the last line of its output. */
export const runAs = (identity: Identity, program: string, args: ReadonlyArray<string>) => {
  const [command = program, ...rest] = [...identity.prefix, program, ...args]
  return attempt(() => run(command, rest, identity.options))
}

/** An unprivileged user with an entry in /etc/passwd, because initdb needs the name of its user. */
const namedUser = attempt(() => fs.readFile("/etc/passwd", "utf8")).pipe(
  Effect.orElseSucceed(() => ""),
  Effect.map((passwd) => {
    const entries = passwd.split("\n").map((line) => line.split(":"))
    const entry = entries.find(([name]) => name === "nobody") ?? entries.find(([, , uid]) => Number(uid) > 0)
    return { uid: Number(entry?.[2] ?? 65534), gid: Number(entry?.[3] ?? 65534) }
  })
)

/**
 * The identities that can run PostgreSQL, best first. PostgreSQL refuses root, and initdb refuses a user
 * without a name. A user namespace solves both problems and keeps the owner of every file. If the kernel or
 * the container forbids namespaces, root switches to another user, with one capability if that user may not
 * enter a parent directory.
 */
export const identities = Effect.fnUntraced(function* (
  dataOwner: User | undefined,
  libraries: string | undefined
) {
  if (process.platform === "win32") return [{ prefix: [], options: {} }] satisfies ReadonlyArray<Identity>
  const env = {
    PATH: "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
    LC_ALL: "C",
    ...(libraries === undefined ? {} : { LD_LIBRARY_PATH: libraries, DYLD_LIBRARY_PATH: libraries })
  }
  const plain: Identity = { prefix: [], options: { cwd: "/", env } }
  const named = yield* namedUser
  const namespace: Identity = {
    ...plain,
    prefix: ["unshare", "--user", `--map-user=${named.uid}`, `--map-group=${named.gid}`]
  }
  if (process.geteuid?.() !== 0) {
    const hasName = yield* Effect.sync(() => os.userInfo()).pipe(Effect.exit)
    return hasName._tag === "Success" ? [plain] : [namespace, plain]
  }
  const foreign = dataOwner !== undefined && dataOwner.uid !== 0
  const { gid, uid } = foreign ? dataOwner : named
  const other: Identity = { prefix: [], uid, options: { cwd: "/", env, uid, gid } }
  const prefix = [
    "setpriv",
    `--reuid=${uid}`,
    `--regid=${gid}`,
    "--clear-groups",
    "--securebits=+no_setuid_fixup"
  ]
  const passing: Identity = {
    ...plain,
    prefix: [...prefix, "--inh-caps=+dac_override", "--ambient-caps=+dac_override"],
    uid
  }
  return foreign ? [other, passing] : [namespace, other, passing]
})
