import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Option, PlatformError, Schema, Stream } from "effect"
import { listSettings, notYetSupported, sectionSettings, settings as ours } from "../../../src/Environment.ts"
import { applicationYaml } from "../../../src/infrastructure/config/ApplicationYaml.ts"
import { settingsByKey } from "../../../src/infrastructure/config/SettingsTree.ts"

const read = (config: Option.Option<string>) =>
  applicationYaml(config, settingsByKey(ours).keys(), notYetSupported, listSettings, sectionSettings)

/** A file system with one file. */
const disk = (name: string, bytes: Uint8Array) =>
  FileSystem.layerNoop({
    stream: (path, options) =>
      path === name
        ? Stream.make(bytes.subarray(0, Number(options?.bytesToRead)))
        : Stream.fail(
            PlatformError.systemError({
              _tag: "NotFound",
              module: "FileSystem",
              method: "open",
              pathOrDescriptor: path
            })
          )
  })

const given = (yaml: string | Uint8Array) =>
  read(Option.none()).pipe(
    Effect.provide(disk("application.yaml", typeof yaml === "string" ? new TextEncoder().encode(yaml) : yaml))
  )

const refusal = (yaml: string | Uint8Array) => Effect.map(Effect.flip(given(yaml)), (error) => error.message)

const textOf = (source: Effect.Success<ReturnType<typeof read>>, key: string) =>
  Effect.map(source.provider.load(key.split(".")), (node) => node?.value)

/** Fragments that make YAML invalid in many ways, with a secret as a possible value. */
const FileText = Schema.Array(
  Schema.Literals([
    "database:",
    "\n  url: ",
    "//user:hunter2@",
    '"',
    "'",
    "\n",
    "\t",
    "*a ",
    "&a ",
    "- ",
    "{",
    "}",
    "[",
    ": ",
    "!t ",
    "|",
    "%",
    "---\n",
    "? "
  ])
).check(Schema.isMaxLength(12))

describe("ApplicationYaml", () => {
  it.effect("reads the shipped application.yaml of the working directory with the four seed values", () =>
    Effect.gen(function* () {
      const source = yield* read(Option.none())
      assert.strictEqual(yield* textOf(source, "order.worker.maxRetries"), "3")
      assert.strictEqual(yield* textOf(source, "order.worker.failureProbability"), "0.3")
      assert.strictEqual(yield* textOf(source, "order.worker.processingDelayMs"), "500")
      assert.strictEqual(yield* textOf(source, "order.worker.retryDelayMs"), "1000")
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.effect("has no settings when there is no file and none was named", () =>
    Effect.gen(function* () {
      const source = yield* read(Option.none())
      assert.isUndefined(yield* textOf(source, "order.worker.maxRetries"))
    }).pipe(Effect.provide(disk("elsewhere.yaml", new Uint8Array())))
  )

  it.effect("refuses a named file that does not exist, even if application.yaml does", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(read(Option.some("/nowhere/orders.yaml")))
      assert.strictEqual(error.message, "/nowhere/orders.yaml, given by --config, does not exist.")
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.effect("refuses a directory in one sentence", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(read(Option.some("src")))
      assert.match(error.message, /^src cannot be read \(\w+\)\.$/)
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.effect("keeps the text of a value as written, and its position", () =>
    Effect.gen(function* () {
      const source = yield* given(
        'order:\n  worker: {failureSeed: 007, retryJitter: 1e-1, maxRetries: "4"}\n'
      )
      assert.strictEqual(yield* textOf(source, "order.worker.failureSeed"), "007")
      assert.strictEqual(yield* textOf(source, "order.worker.retryJitter"), "1e-1")
      assert.strictEqual(yield* textOf(source, "order.worker.maxRetries"), "4")
      assert.strictEqual(source.placeOf("order.worker.failureSeed"), "application.yaml:2:25")
    })
  )

  it.effect("follows an alias", () =>
    Effect.gen(function* () {
      const source = yield* given("order:\n  worker:\n    retryDelayMs: &d 5\n    retryMaxDelayMs: *d\n")
      assert.strictEqual(yield* textOf(source, "order.worker.retryMaxDelayMs"), "5")
    })
  )

  it.effect.each(["", "# nothing but a comment\n", "---\n", "null\n", "order:\n  worker:\n"])(
    "has no settings when the file has no value: %j",
    (yaml) => given(yaml)
  )

  it.effect.each([
    [
      "order.worker.maxRetry: 3",
      "order.worker.maxRetry (application.yaml:1:1) is not a known setting; did you mean order.worker.maxRetries?"
    ],
    [
      "order:\n  worker:\n    max-retries: 3",
      "order.worker.max-retries (application.yaml:3:5) is not a known setting; did you mean order.worker.maxRetries?"
    ],
    [
      "worker:\n  maxRetries: 3",
      "worker (application.yaml:1:1) is not a known setting; did you mean order.worker?"
    ],
    [
      "leaseMs: 3000",
      "leaseMs (application.yaml:1:1) is not a known setting; did you mean order.worker.leaseMs?"
    ],
    ["servr:\n  port: 1", "servr (application.yaml:1:1) is not a known setting; did you mean server?"],
    ["elephants: true", "elephants (application.yaml:1:1) is not a known setting."],
    ['"a\\nb": 1', "The key at application.yaml:1:1 is not a known setting."],
    ["? [a]\n: 1", "application.yaml:1:3 has a key that is not text."],
    ["elephants:", "elephants (application.yaml:1:1) is not a known setting."],
    ["__proto__:\n  port: 1", "__proto__ (application.yaml:1:1) is not a known setting."],
    [
      "database: postgres://user:hunter2@db/orders",
      "database (application.yaml:1:11) is a single value or a list: it must be a section of settings."
    ],
    ["server:\n  port:\n    - 1", "server.port (application.yaml:3:5) is a list: it must be a single value."],
    [
      "server:\n  port:\n    number: 1",
      "server.port (application.yaml:3:5) is a section: it must be a single value."
    ],
    ["server:\n  port: 1\nserver.port: 2", "server.port (application.yaml:3:1) is given twice."],
    ["hunter2", "application.yaml is a single value or a list: it must be a section of settings."],
    ["- server", "application.yaml is a single value or a list: it must be a section of settings."],
    ["server:\n  port: 1\n  port: 2", "application.yaml:3:3 repeats a key of this section."],
    ["database:\n\turl: hunter2", "application.yaml:2:1 is not valid YAML: it is indented with a tab."],
    ["server: *nowhere", "application.yaml:1:9 refers to an anchor that does not exist."],
    ["server:\n  host: !env HOST", "application.yaml:2:9 has an unknown tag (!)."],
    ["server: {}\n---\nserver: {}", "application.yaml:2:1 begins a second document: only one is allowed."],
    [
      'database:\n  url: "postgres://user:hunter2"x"@db',
      "application.yaml:2:33 is not valid YAML (UNEXPECTED_TOKEN)."
    ]
  ] as const)("refuses %j with one sentence", ([yaml, sentence]) =>
    Effect.gen(function* () {
      assert.strictEqual(yield* refusal(yaml), sentence)
    })
  )

  it.effect("reads a document that contains itself without looping", () =>
    Effect.gen(function* () {
      assert.match(yield* refusal("order: &o\n  worker: *o\n"), /^order\.worker\.worker /)
    })
  )

  it.effect("refuses a file that is not text, or larger than one MiB", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* refusal(Uint8Array.of(0xff, 0xfe, 0)), "application.yaml is not UTF-8 text.")
      assert.strictEqual(
        yield* refusal("#".repeat(1_048_577)),
        "application.yaml is larger than 1048576 bytes."
      )
      yield* given("#".repeat(1_048_576))
    })
  )

  it.effect.prop("reads or refuses any file, and never quotes it", [FileText], ([pieces]) =>
    Effect.gen(function* () {
      const outcome = yield* Effect.result(given(pieces.join("")))
      if (outcome._tag === "Failure") assert.notMatch(outcome.failure.message, /hunter2/)
    })
  )
})
