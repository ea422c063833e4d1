import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, FileSystem, Layer, Option, Redacted, Schema } from "effect"
import { stringify } from "yaml"
import { Environment, notYetSupported, settings } from "../src/Environment.ts"
import { environmentVariable, settingsByKey } from "../src/infrastructure/config/SettingsTree.ts"
import { isWholeForm } from "./WholeForm.ts"

type Variables = Record<string, string>

const provided = <E>(layer: Layer.Layer<Environment, E>, variables: Variables) =>
  Effect.provide(
    Effect.service(Environment),
    layer.pipe(Layer.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env: variables }))))
  )

const start = (variables: Variables = {}) => provided(Environment.layer, variables)

const startWithFile = Effect.fnUntraced(
  function* (yaml: string, variables: Variables = {}) {
    const files = yield* FileSystem.FileSystem
    const file = `${yield* files.makeTempDirectoryScoped()}/settings.yaml`
    yield* files.writeFileString(file, yaml)
    return yield* provided(
      Environment.layerFile(Option.some(file)).pipe(Layer.provide(NodeServices.layer)),
      variables
    ).pipe(Effect.mapError((error) => error.message.replaceAll(file, "settings.yaml")))
  },
  Effect.catchTag("PlatformError", Effect.die),
  Effect.provide(NodeServices.layer)
)

const refusal = (variables: Variables) => Effect.map(Effect.flip(start(variables)), (error) => error.message)

describe("Environment", () => {
  it.effect("has the documented default for every setting that is not given", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* start(), {
        server: {
          host: "127.0.0.1",
          port: 8080,
          requestTimeoutMs: 15_000,
          drainDelayMs: Option.none(),
          corsOrigins: Option.none()
        },
        database: {
          url: Option.none(),
          listenUrl: Option.none(),
          dataDirectory: ".data/postgres",
          maxConnections: 10,
          prepare: true,
          schema: "public",
          statementTimeoutMs: 15_000,
          acquireTimeoutMs: 5000
        },
        order: {
          queue: "memory",
          worker: {
            maxRetries: 3,
            retryDelayMs: 1000,
            retryBackoff: "exponential",
            retryMaxDelayMs: 300_000,
            retryJitter: 0.2,
            failureProbability: 0,
            failureSeed: Option.none(),
            processingDelayMs: 0,
            concurrency: 100,
            leaseMs: 30_000,
            attemptTimeoutMs: 60_000,
            pollIntervalMs: 1000,
            drainTimeoutMs: 20_000,
            types: Option.none()
          },
          breaker: {
            enabled: true,
            failureRate: 0.8,
            minimumAttempts: 20,
            windowMs: 10_000,
            probeIntervalMs: 1000
          },
          types: Option.none(),
          groups: { maxRunning: Option.none(), ratePerSecond: Option.none(), maxPending: Option.none() }
        },
        auth: { clientKeys: Option.none(), operatorKeys: Option.none(), disabled: false },
        intake: {
          maxBodyBytes: 65_536,
          maxBulkBodyBytes: 8_388_608,
          maxPending: 1_000_000,
          maxScheduled: 10_000_000,
          idempotencyTtlMs: 86_400_000
        },
        retention: { processedDays: Option.none(), failedDays: Option.none() },
        log: { level: "Info", format: "auto" }
      })
    })
  )

  it.effect("reads values from the file, and the environment overrides the file", () =>
    Effect.gen(function* () {
      const yaml = "order:\n  worker:\n    maxRetries: 7\n    retryBackoff: fixed\nlog.level: debug\n"
      const environment = yield* startWithFile(yaml, { ORDER_WORKER_MAX_RETRIES: "9" })
      assert.strictEqual(environment.order.worker.maxRetries, 9)
      assert.strictEqual(environment.order.worker.retryBackoff, "fixed")
      assert.strictEqual(environment.log.level, "Debug")
    })
  )

  it.effect("treats an empty variable, an empty string and null as not given", () =>
    Effect.gen(function* () {
      const yaml = 'server:\n  port: 9000\n  host: ""\ndatabase:\n  url: null\n  prepare:\norder:\n'
      const environment = yield* startWithFile(yaml, { SERVER_PORT: "", SQS_REGION: "" })
      assert.strictEqual(environment.server.port, 9000)
      assert.strictEqual(environment.server.host, "127.0.0.1")
      assert.isTrue(Option.isNone(environment.database.url))
      assert.isTrue(environment.database.prepare)
    })
  )

  it.effect("reads a setting whose name is the prefix of other variables", () =>
    Effect.gen(function* () {
      const environment = yield* start({ SERVER_PORT: "9000", SERVER_PORT_80_TCP: "tcp://10.0.0.1:80" })
      assert.strictEqual(environment.server.port, 9000)
    })
  )

  it.effect.each([
    ["ORDER_WORKER_MAX_RETRIES", "abc", "order.worker.maxRetries", "a whole number from 0 to 100"],
    ["ORDER_WORKER_MAX_RETRIES", "101", "order.worker.maxRetries", "a whole number from 0 to 100"],
    ["ORDER_WORKER_MAX_RETRIES", "-1", "order.worker.maxRetries", "a whole number from 0 to 100"],
    ["ORDER_WORKER_MAX_RETRIES", "1.5", "order.worker.maxRetries", "a whole number from 0 to 100"],
    ["ORDER_WORKER_MAX_RETRIES", " ", "order.worker.maxRetries", "a whole number from 0 to 100"],
    ["ORDER_WORKER_MAX_RETRIES", "0x10", "order.worker.maxRetries", "a whole number from 0 to 100"],
    ["SERVER_PORT", "65536", "server.port", "a whole number from 0 to 65535"],
    ["ORDER_GROUPS_MAX_RUNNING", "0", "order.groups.maxRunning", "a whole number from 1 to 1000000"],
    ["ORDER_GROUPS_MAX_PENDING", "0", "order.groups.maxPending", "a whole number from 1 to 1000000000"],
    ["ORDER_GROUPS_RATE_PER_SECOND", "0.0001", "order.groups.ratePerSecond", "a number from 0.001 to 100000"],
    ["ORDER_TYPES", "email", "order.types", 'a JSON object such as {"email": {"maxRetries": 5}}'],
    ["ORDER_TYPES", "[]", "order.types", 'a JSON object such as {"email": {"maxRetries": 5}}'],
    [
      "ORDER_WORKER_TYPES",
      "email, Invoice",
      "order.worker.types",
      "a list of names of order types, each 1 to 64 of the characters a-z 0-9 . _ -"
    ],
    ["SERVER_HOST", "a b", "server.host", "a host name or an IP address"],
    ["DATABASE_MAX_CONNECTIONS", "1", "database.maxConnections", "a whole number from 2 to 1000"],
    ["DATABASE_PREPARE", "yes", "database.prepare", "true or false"],
    [
      "DATABASE_SCHEMA",
      "pg_x",
      "database.schema",
      "a lower-case SQL name of at most 41 letters, digits and _, not starting with pg_"
    ],
    ["ORDER_QUEUE", "sqs", "order.queue", "one of memory, postgres"],
    ["ORDER_WORKER_RETRY_BACKOFF", "linear", "order.worker.retryBackoff", "one of exponential, fixed"],
    ["ORDER_WORKER_RETRY_JITTER", "1.01", "order.worker.retryJitter", "a number from 0 to 1"],
    ["ORDER_WORKER_FAILURE_PROBABILITY", "NaN", "order.worker.failureProbability", "a number from 0 to 1"],
    ["ORDER_WORKER_LEASE_MS", "999", "order.worker.leaseMs", "a whole number from 1000 to 86400000"],
    ["INTAKE_MAX_BODY_BYTES", "1023", "intake.maxBodyBytes", "a whole number from 1024 to 16777216"],
    ["LOG_LEVEL", "Info", "log.level", "one of trace, debug, info, warn, error, fatal"]
  ] as const)("refuses %s=%s with one sentence", ([variable, value, key, allowed]) =>
    Effect.gen(function* () {
      assert.strictEqual(
        yield* refusal({ [variable]: value }),
        `${key} (${variable}) is "${value}": it must be ${allowed}.`
      )
    })
  )

  it.effect("names file, line and column for a wrong value in the file", () =>
    Effect.gen(function* () {
      assert.strictEqual(
        yield* Effect.flip(startWithFile("order:\n  worker:\n    maxRetries: abc\n")),
        'order.worker.maxRetries (settings.yaml:3:17) is "abc": it must be a whole number from 0 to 100.'
      )
    })
  )

  it.effect("reports every wrong setting on one line, also if a value has several lines", () =>
    Effect.gen(function* () {
      const message = yield* refusal({ SERVER_PORT: "1\n2", LOG_FORMAT: "x".repeat(5000) })
      assert.lengthOf(message.split("\n"), 2)
      assert.isBelow(message.length, 400)
    })
  )

  it.effect.each([
    "mysql://user:hunter2@db/orders",
    "postgres://user:hunter2@db:port/orders",
    "postgres://user:hunter2%@db/orders",
    "postgres://user:hunter2 @db/orders",
    "hunter2"
  ])("refuses a wrong database URL without showing the password: %s", (url) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(start({ DATABASE_URL: url }))
      assert.match(
        error.message,
        /^database\.url \(DATABASE_URL\) has an invalid value, .*postgres:\/\/[^\n]*\.$/
      )
      assert.notInclude(JSON.stringify(error) + String(error) + String(error.stack), "hunter2")
    })
  )

  it.effect.each([
    "postgres://ann:pw@/shop?host=/run",
    "postgres://ann@%2Frun:5433/shop",
    "postgres:///shop?host=/run"
  ])("accepts a database URL of a Unix socket: %s", (url) =>
    Effect.gen(function* () {
      const environment = yield* start({ DATABASE_URL: url })
      assert.strictEqual(Option.getOrThrow(Option.map(environment.database.url, Redacted.value)), url)
    })
  )

  it.effect("keeps the password of a database URL out of printed settings", () =>
    Effect.gen(function* () {
      const url = "postgresql://user:hun%20ter2@db:5432/orders?sslmode=require"
      const environment = yield* start({ DATABASE_URL: url })
      assert.strictEqual(Option.getOrThrow(Option.map(environment.database.url, Redacted.value)), url)
      assert.notInclude(JSON.stringify(environment) + String(environment.database.url), "ter2")
    })
  )

  for (const key of notYetSupported) {
    it.effect(`refuses an impossible ${key} in the environment and in the file`, () =>
      Effect.gen(function* () {
        const variable = environmentVariable(key)
        assert.strictEqual(
          yield* refusal({ [variable]: "ann:hunter2" }),
          `${key} (${variable}) is not supported by this version yet; remove it.`
        )
        assert.match(
          yield* Effect.flip(startWithFile(`${key}:\n  - ann:hunter2\n`)),
          new RegExp(
            `^${key} \\(settings\\.yaml:\\d+:\\d+\\) is not supported by this version yet; remove it\\.$`
          )
        )
      })
    )
  }

  it.effect.each(["0.0.0.0", "::", "10.0.0.1", "example.org", "127.evil.example", "::ffff:10.0.0.1"])(
    "refuses the host %s without authentication",
    (host) =>
      Effect.gen(function* () {
        assert.strictEqual(
          yield* refusal({ SERVER_HOST: host }),
          `server.host (SERVER_HOST) is "${host}": without authentication (auth.clientKeys, auth.operatorKeys) it ` +
            `must be a loopback address (127.0.0.0/8, ::1 or localhost), unless auth.disabled (AUTH_DISABLED) is true.`
        )
        const open = yield* start({ SERVER_HOST: host, AUTH_DISABLED: "true" })
        assert.strictEqual(open.server.host, host)
      })
  )

  it.effect.each(["localhost", "127.0.0.1", "127.9.9.9", "::1", "0:0:0:0:0:0:0:1"])(
    "serves on the loopback host %s without authentication",
    (host) => Effect.map(start({ SERVER_HOST: host }), ({ server }) => assert.strictEqual(server.host, host))
  )
})

const secret = (letter: string) => letter.repeat(16)

/** The names and secrets of the keys of a process, by role. */
const keysOf = ({ auth }: Environment["Service"]) =>
  [auth.clientKeys, auth.operatorKeys].map((keys) => Option.getOrThrow(Option.map(keys, Redacted.value)))

describe("keys", () => {
  it.effect("are separated by commas in the environment, and a list or the same text in the file", () =>
    Effect.gen(function* () {
      const client = [
        { name: "shop", secret: secret("s") },
        { name: "till-2", secret: `:${secret("/")}=` }
      ]
      const operator = [{ name: "ann", secret: secret("a") }]
      const clientText = `shop:${secret("s")} , till-2::${secret("/")}=`
      const byVariables = yield* start({
        AUTH_CLIENT_KEYS: clientText,
        AUTH_OPERATOR_KEYS: `ann:${secret("a")}`,
        SERVER_HOST: "0.0.0.0"
      })
      const byFile = yield* startWithFile(
        `auth:\n  clientKeys:\n    - shop:${secret("s")}\n    - "till-2::${secret("/")}="\n  operatorKeys: ann:${secret("a")}\n`
      )
      for (const settings of [byVariables, byFile])
        assert.deepStrictEqual(keysOf(settings), [client, operator])
      assert.notInclude(JSON.stringify(byVariables) + String(byVariables.auth.clientKeys), secret("s"))
    })
  )

  it.effect("null in the file or an empty list means that there are none", () =>
    Effect.gen(function* () {
      const { auth } = yield* startWithFile("auth:\n  clientKeys: []\n  operatorKeys:\n")
      assert.isTrue(Option.isNone(auth.clientKeys) && Option.isNone(auth.operatorKeys))
    })
  )

  it.effect.each([
    "hunter2",
    "ann:hunter2",
    `ann:hunter2${"x".repeat(250)}`,
    `ann:${"hunter2".repeat(3)},`,
    `:${"hunter2".repeat(3)}`,
    `-ann:${"hunter2".repeat(3)}`,
    `ann:${"hunter2".repeat(3)},ann:${"hunter3".repeat(3)}`,
    `ann:${"hunter2 ".repeat(3)}`,
    `ann:${"hunter2é".repeat(3)}`
  ])("are refused without showing them if they are invalid: %s", (keys) =>
    Effect.gen(function* () {
      for (const variable of ["AUTH_CLIENT_KEYS", "AUTH_OPERATOR_KEYS"]) {
        const error = yield* Effect.flip(start({ [variable]: keys }))
        assert.match(
          error.message,
          /has an invalid value, not shown because it is a secret: it must be a list of name/
        )
        assert.lengthOf(error.message.split("\n"), 1)
        assert.notInclude(JSON.stringify(error) + String(error) + String(error.stack), "hunter")
      }
      const inFile = yield* Effect.flip(startWithFile(`auth.clientKeys: ${JSON.stringify([keys])}`))
      assert.match(inFile, /^auth\.clientKeys \(settings\.yaml:1:\d+\) has an invalid value/)
    })
  )

  it.effect.each(["- ann: hunter2", "- [hunter2]", "- ", "ann: hunter2"])(
    "are refused in the file if they are not a list of strings: %s",
    (yaml) =>
      Effect.gen(function* () {
        const message = yield* Effect.flip(startWithFile(`auth:\n  clientKeys:\n    ${yaml}\n`))
        assert.match(
          message,
          /^auth\.clientKeys \(settings\.yaml:3:5\) (has an element that is not a single value|is a section: it must be a single value)\.$/
        )
      })
  )

  it.effect("are refused together with auth.disabled", () =>
    Effect.gen(function* () {
      const variables = { AUTH_CLIENT_KEYS: `shop:${secret("s")}`, AUTH_DISABLED: "true" }
      assert.strictEqual(
        yield* refusal(variables),
        "auth.disabled (AUTH_DISABLED) is true although there are keys in auth.clientKeys (AUTH_CLIENT_KEYS) and " +
          "auth.operatorKeys: remove the keys, or set auth.disabled to false."
      )
    })
  )

  it.effect("have unique names and secrets across both roles", () =>
    Effect.gen(function* () {
      const both = "auth.clientKeys (AUTH_CLIENT_KEYS) and auth.operatorKeys (AUTH_OPERATOR_KEYS)"
      const keys = (client: string, operator: string) => ({
        AUTH_CLIENT_KEYS: client,
        AUTH_OPERATOR_KEYS: operator
      })
      assert.strictEqual(
        yield* refusal(keys(`ann:${secret("s")}`, `ann:${secret("a")}`)),
        `${both} both contain the name ann: a name can have only one role.`
      )
      assert.strictEqual(
        yield* refusal(keys(`shop:${secret("s")}`, `ann:${secret("s")}`)),
        `${both}: shop and ann have the same secret: each name needs a different one.`
      )
    })
  )
})

describe("order.types", () => {
  const typesOf = ({ order }: Environment["Service"]) => Option.getOrThrow(order.types)

  it.effect("are sections in the file and JSON in the environment, where the name of a type is one key", () =>
    Effect.gen(function* () {
      const expected = {
        "email.v2": { maxRetries: 8, retryBackoff: "fixed", retryDelayMs: 1000 },
        invoice: { attemptTimeoutMs: 5000, concurrency: 2 },
        plain: {}
      } as const
      const byFile = yield* startWithFile(
        `order:
  types:
    "email.v2": {maxRetries: 8, retryBackoff: fixed, retryDelayMs: 1000, concurrency: }
    invoice:
      attemptTimeoutMs: "5000"
      concurrency: 2
    plain: {}
    unused:
`
      )
      assert.deepStrictEqual(typesOf(byFile), expected)
      assert.deepStrictEqual(typesOf(yield* start({ ORDER_TYPES: JSON.stringify(expected) })), expected)
    })
  )

  it.effect("are read for every name, also for those that every object has", () =>
    Effect.gen(function* () {
      const text = '{"__proto__": {"maxRetries": 1}, "constructor": {"maxRetries": 2}}'
      assert.deepStrictEqual(Object.entries(typesOf(yield* start({ ORDER_TYPES: text }))), [
        ["__proto__", { maxRetries: 1 }],
        ["constructor", { maxRetries: 2 }]
      ])
    })
  )

  it.effect.each<[text: string, part: string, problem: string]>([
    ['{"a": {"maxRetries": 101}}', '."a".maxRetries', "is 101: it must be a whole number from 0 to 100"],
    ['{"a": {"maxRetries": "1.5"}}', '."a".maxRetries', 'is "1.5": it must be a whole number from 0 to 100'],
    ['{"a.b": {"concurrency": 0}}', '."a.b".concurrency', "is 0: it must be a whole number from 1 to 10000"],
    ['{"a": {"retryBackoff": true}}', '."a".retryBackoff', "is true: it must be one of exponential, fixed"],
    ['{"a": {"max_retries": 1}}', '."a".max_retries', "is not a known setting; did you mean maxRetries?"],
    ['{"a": {"toString": 1}}', '."a".toString', "is not a known setting"],
    ['{"a": 5}', '."a"', "is 5: it must be a section of settings"],
    [
      '{"A b": {}}',
      '."A b"',
      "is not the name of an order type: it must be 1 to 64 of the characters a-z 0-9 . _ -"
    ]
  ])("with the wrong part %s stop the start with a sentence about the part", ([text, part, problem]) =>
    Effect.gen(function* () {
      assert.strictEqual(
        yield* refusal({ ORDER_TYPES: text }),
        `order.types${part} (ORDER_TYPES) ${problem}${problem.endsWith("?") ? "" : "."}`
      )
    })
  )

  it.effect("with wrong parts in the file are refused with their place", () =>
    Effect.gen(function* () {
      const yaml =
        "order:\n  types:\n    email:\n      maxRetries: [1]\n      retryDelayMs: soon\n    sms: 5\n"
      assert.deepStrictEqual((yield* Effect.flip(startWithFile(yaml))).split("\n"), [
        'order.types."email".maxRetries (settings.yaml:3:5) is []: it must be a whole number from 0 to 100.',
        'order.types."email".retryDelayMs (settings.yaml:3:5) is "soon": it must be a whole number from 0 to 2147483647.',
        'order.types."sms" (settings.yaml:3:5) is "5": it must be a section of settings.'
      ])
    })
  )
})

describe("every setting", () => {
  // Values that satisfy the rules across settings, so that each setting can take any of its own values.
  const free: Variables = { AUTH_DISABLED: "true" }
  // For schemas whose checks random values rarely satisfy, or that the generator does not support.
  const line = Schema.String.check(Schema.isPattern(/^[ -~¡-ɏ]{1,40}$/))
  const someKeys = Schema.RedactedFromValue(
    Schema.Tuple([
      Schema.Struct({
        name: Schema.String.check(Schema.isPattern(/^[a-z]{1,9}$/)),
        secret: Schema.String.check(Schema.isPattern(/^[A-Za-z0-9:]{16,30}$/))
      })
    ])
  )
  const easier: Record<string, Schema.Codec<unknown, unknown>> = {
    "auth.clientKeys": someKeys,
    "auth.operatorKeys": someKeys,
    "order.worker.types": Schema.Tuple([Schema.String.check(Schema.isPattern(/^[a-z0-9._-]{1,9}$/))]),
    "order.types": Schema.Struct({
      "email.v2": Schema.Struct({
        maxRetries: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 100 }))
      })
    }),
    "server.corsOrigins": Schema.Tuple([
      Schema.String.check(Schema.isPattern(/^https?:\/\/[a-z]{1,9}\.example(:8[1-9]{3})?$/)),
      Schema.Literal("http://localhost:3000")
    ]),
    "database.dataDirectory": line,
    "order.worker.failureSeed": line,
    "database.url": Schema.RedactedFromValue(
      Schema.String.check(Schema.isPattern(/^postgres:\/\/[a-z]{1,9}:[a-z]{1,9}@[a-z]{1,9}\/[a-z]{1,9}$/))
    ),
    "database.schema": Schema.String.check(Schema.isPattern(/^[a-o_][a-z0-9_]{0,40}$/))
  }
  const valueAt = (environment: Environment["Service"], key: string) =>
    key.split(".").reduce<unknown>((node, name) => (node as Record<string, unknown>)[name], environment)
  const inSections = (key: string, value: unknown) =>
    key.split(".").reduceRight<unknown>((inner, name) => ({ [name]: inner }), value)

  for (const [key, { kind }] of settingsByKey(settings)) {
    const variable = environmentVariable(key)
    // Keys and auth.disabled contradict each other.
    const { [variable]: _, ...others } = kind.list === true ? {} : free
    const textOf = (value: unknown) =>
      Schema.encodeSync(kind.schema)(Option.isOption(value) ? Option.getOrThrow(value) : value)

    it.effect.prop(
      `${key} means the same in ${variable} and in the file`,
      [Schema.toType(easier[key] ?? kind.schema)],
      ([value]) =>
        Effect.gen(function* () {
          const text = textOf(value)
          const plain =
            typeof value === "number" || typeof value === "boolean" ? (JSON.parse(text) as unknown) : text
          const byVariable = yield* start({ ...others, [variable]: text })
          const byFile = yield* startWithFile(stringify(inSections(key, plain)), others)
          assert.strictEqual(textOf(valueAt(byVariable, key)), text)
          assert.strictEqual(textOf(valueAt(byFile, key)), text)
        }),
      { arbitrary: { runs: isWholeForm ? 20 : 4 } }
    )
  }
})
