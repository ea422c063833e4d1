import { Array, ConfigProvider, Context, Effect, Layer, Option } from "effect"
import { accessConflicts } from "./infrastructure/config/AccessConflicts.ts"
import { applicationYaml } from "./infrastructure/config/ApplicationYaml.ts"
import { InvalidSettings } from "./infrastructure/config/InvalidSettings.ts"
import { namedSecrets } from "./infrastructure/config/NamedSecrets.ts"
import { origins } from "./infrastructure/config/Origins.ts"
import { environmentSource, readSettings } from "./infrastructure/config/ReadSettings.ts"
import type { SettingsSource } from "./infrastructure/config/ReadSettings.ts"
import {
  flag,
  matching,
  oneOf,
  optional,
  postgresUrl,
  secret,
  setting,
  share,
  wholeNumber,
  wordFor
} from "./infrastructure/config/Setting.ts"
import { settingsByKey } from "./infrastructure/config/SettingsTree.ts"
import type { Values } from "./infrastructure/config/SettingsTree.ts"

const DAY_MS = 86_400_000
const TIMER_MAX_MS = 2_147_483_647 // the longest a JavaScript timer can wait

const host = matching("a host name or an IP address", /^[A-Za-z0-9._:%-]{1,253}$/)
const path = matching("a path", /^\P{Cc}{1,4096}$/u)
const anyText = matching("at most 1000 characters without control characters", /^\P{Cc}{1,1000}$/u)
// Interpolated as an identifier into every statement; PostgreSQL keeps pg_ for itself.
const schemaName = matching(
  "a lower-case SQL name of at most 41 letters, digits and _, not starting with pg_",
  /^(?!pg_)[a-z_][a-z0-9_]{0,40}$/
)
const logLevel = wordFor({
  trace: "Trace",
  debug: "Debug",
  info: "Info",
  warn: "Warn",
  error: "Error",
  fatal: "Fatal"
})

/** Every setting: what it may be, its default, its meaning. Types, variables, checks and documentation follow from it. */
export const settings = {
  server: {
    host: setting(host, "127.0.0.1", "address to listen on"),
    port: setting(wholeNumber(0, 65_535), 8080, "port to listen on; 0 takes a free one and prints it"),
    requestTimeoutMs: setting(wholeNumber(1, DAY_MS), 15_000, "a request that takes longer is answered 503"),
    drainDelayMs: optional(
      wholeNumber(0, DAY_MS),
      "how long the listener stays at shutdown, while `/health/ready` is 503",
      "0 on a loopback host, else 5000"
    ),
    corsOrigins: optional(
      origins,
      "pages of these origins may call the server from a browser: a list, or with commas between",
      "none: off"
    )
  },
  database: {
    url: optional(secret(postgresUrl), "connection URL of PostgreSQL 14 or newer", "none: embedded"),
    listenUrl: optional(
      secret(postgresUrl),
      "a direct connection for LISTEN, where database.url leads to a pooler",
      "none: database.url"
    ),
    dataDirectory: setting(path, ".data/postgres", "where the embedded PostgreSQL keeps its data"),
    maxConnections: setting(wholeNumber(2, 1000), 10, "connections in the pool of one process"),
    prepare: setting(flag, true, "prepared statements; false for PgBouncer"),
    schema: setting(schemaName, "public", "database schema of all tables"),
    statementTimeoutMs: setting(wholeNumber(1, DAY_MS), 15_000, "a statement that takes longer is cancelled"),
    acquireTimeoutMs: setting(wholeNumber(1, DAY_MS), 5000, "longest wait for a connection of the pool")
  },
  order: {
    queue: setting(oneOf(["memory", "postgres"]), "memory", "what announces orders to workers"),
    worker: {
      maxRetries: setting(
        wholeNumber(0, 100),
        3,
        "failed attempts until FAILED; 0 counts as 1; stored with the order when it is submitted"
      ),
      retryDelayMs: setting(wholeNumber(0, TIMER_MAX_MS), 1000, "first delay before a retry"),
      retryBackoff: setting(oneOf(["exponential", "fixed"]), "exponential", "how the delay grows"),
      retryMaxDelayMs: setting(wholeNumber(0, TIMER_MAX_MS), 300_000, "longest delay, after jitter"),
      retryJitter: setting(share, 0.2, "share of the delay by which it varies, up and down"),
      failureProbability: setting(share, 0, "share of attempts that fail by simulation"),
      failureSeed: optional(anyText, "seed that makes simulated failures repeatable", "none: random"),
      processingDelayMs: setting(wholeNumber(0, DAY_MS), 0, "simulated work of an attempt"),
      concurrency: setting(wholeNumber(1, 10_000), 100, "attempts at the same time in one process"),
      leaseMs: setting(
        wholeNumber(1000, DAY_MS),
        30_000,
        "an order of a lost worker is free after this time"
      ),
      attemptTimeoutMs: setting(wholeNumber(1, DAY_MS), 60_000, "a longer attempt fails with TIMEOUT"),
      pollIntervalMs: setting(wholeNumber(10, DAY_MS), 1000, "longest time between two looks for due orders"),
      drainTimeoutMs: setting(wholeNumber(0, DAY_MS), 20_000, "how long attempts may finish at shutdown")
    }
  },
  auth: {
    clientKeys: optional(
      secret(namedSecrets),
      "keys for /orders: a list, or name:secret with commas between; secrets of at least 16 characters"
    ),
    operatorKeys: optional(
      secret(namedSecrets),
      "keys for everything; without any key the server is open, on a loopback host only"
    ),
    disabled: setting(flag, false, "true serves without authentication on a host that is not loopback")
  },
  intake: {
    maxBodyBytes: setting(wholeNumber(1024, 16_777_216), 65_536, "largest body of one order"),
    maxBulkBodyBytes: setting(wholeNumber(1024, 67_108_864), 8_388_608, "largest body of a bulk request"),
    maxPending: setting(
      wholeNumber(1, 100_000_000),
      1_000_000,
      "most PENDING orders that are due; beyond it new ones are answered 503 with Retry-After"
    ),
    maxScheduled: setting(
      wholeNumber(1, 1_000_000_000),
      10_000_000,
      "most PENDING orders that wait for their time; beyond it new ones with notBefore are answered 503"
    ),
    idempotencyTtlMs: setting(
      wholeNumber(DAY_MS, 365 * DAY_MS),
      DAY_MS,
      "how long the answer to a request with an Idempotency-Key is kept for its repetitions"
    )
  },
  retention: {
    processedDays: optional(
      wholeNumber(1, 36_500),
      "whole days after which a PROCESSED order is deleted",
      "none: kept"
    ),
    failedDays: optional(
      wholeNumber(1, 36_500),
      "whole days after which a FAILED order is deleted",
      "none: kept"
    )
  },
  log: {
    level: setting(
      logLevel,
      "Info",
      "least severe message logged: trace, debug, info, warn, error, fatal; the line at start is always there"
    ),
    format: setting(oneOf(["auto", "pretty", "json"]), "auto", "auto: pretty on a terminal, JSON otherwise")
  }
}

/** Keys of the contract that this version does not honour yet; giving one stops the start. */
export const notYetSupported = ["sqs.queueUrl", "sqs.region", "sqs.endpoint", "telemetry.otlpEndpoint"]

/** Keys that the file may give as lists. */
export const listSettings = [...settingsByKey(settings)]
  .filter(([, { kind }]) => kind.list === true)
  .map(([key]) => key)

/** The settings of this process, checked; nothing else reads the environment or the file. */
export class Environment extends Context.Service<Environment, Values<typeof settings>>()(
  "order-platform/Environment"
) {
  /** Settings from the environment (the `ConfigProvider`) alone. */
  static readonly layer = Layer.effect(
    Environment,
    Effect.suspend(() => read([]))
  )

  /** Settings from the environment over those in `config`, by default `application.yaml` if there is one. */
  static readonly layerFile = (config: Option.Option<string>) =>
    Layer.effect(
      Environment,
      Effect.flatMap(
        applicationYaml(config, settingsByKey(settings).keys(), notYetSupported, listSettings),
        (file) => read([file])
      )
    )
}

const read = Effect.fnUntraced(function* (files: ReadonlyArray<SettingsSource>) {
  const environment = yield* ConfigProvider.ConfigProvider
  const { named, values } = yield* readSettings(settings, notYetSupported, [
    environmentSource(environment),
    ...files
  ])
  const problems = accessConflicts(values, named)
  return Array.isReadonlyArrayNonEmpty(problems) ? yield* new InvalidSettings({ problems }) : values
})
