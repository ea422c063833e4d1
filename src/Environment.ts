import { Array, ConfigProvider, Context, Effect, Layer, Option } from "effect"
import { accessConflicts } from "./infrastructure/config/AccessConflicts.ts"
import { applicationYaml } from "./infrastructure/config/ApplicationYaml.ts"
import { InvalidSettings } from "./infrastructure/config/InvalidSettings.ts"
import { namedSecrets } from "./infrastructure/config/NamedSecrets.ts"
import { namedSections } from "./infrastructure/config/NamedSections.ts"
import { origins } from "./infrastructure/config/Origins.ts"
import { environmentSource, readSettings } from "./infrastructure/config/ReadSettings.ts"
import type { SettingsSource } from "./infrastructure/config/ReadSettings.ts"
import {
  flag,
  matching,
  numberFrom,
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
import { typeNames } from "./infrastructure/config/TypeNames.ts"

const DAY_MS = 86_400_000
const TIMER_MAX_MS = 2_147_483_647 // the longest delay of a JavaScript timer

const host = matching("a host name or an IP address", /^[A-Za-z0-9._:%-]{1,253}$/)
const path = matching("a path", /^\P{Cc}{1,4096}$/u)
const anyText = matching("at most 1000 characters without control characters", /^\P{Cc}{1,1000}$/u)
// Every statement contains the schema name as an identifier. PostgreSQL reserves names that begin with pg_.
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

/** The settings that can be given for all order types and for single ones. */
const perType = {
  maxRetries: wholeNumber(0, 100),
  retryDelayMs: wholeNumber(0, TIMER_MAX_MS),
  retryBackoff: oneOf(["exponential", "fixed"]),
  retryMaxDelayMs: wholeNumber(0, TIMER_MAX_MS),
  attemptTimeoutMs: wholeNumber(1, DAY_MS),
  concurrency: wholeNumber(1, 10_000)
}
const typeName = {
  of: "the name of an order type",
  allowed: "1 to 64 of the characters a-z 0-9 . _ -",
  pattern: /^[a-z0-9._-]{1,64}$/
}

/**
 * Every setting with its allowed values, default and meaning. Types, environment variables, checks and
 * documentation are derived from this object.
 */
export const settings = {
  server: {
    host: setting(host, "127.0.0.1", "address to listen on"),
    port: setting(wholeNumber(0, 65_535), 8080, "port to listen on; 0 takes a free one and prints it"),
    requestTimeoutMs: setting(wholeNumber(1, DAY_MS), 15_000, "a slower request is answered 503"),
    drainDelayMs: optional(
      wholeNumber(0, DAY_MS),
      "how long the listener stays open at shutdown, while `/health/ready` is 503",
      "0 on a loopback host, else 5000"
    ),
    corsOrigins: optional(
      origins,
      "origins whose pages may call the server from a browser: a list, or separated by commas",
      "none: off"
    )
  },
  database: {
    url: optional(secret(postgresUrl), "connection URL of PostgreSQL 14 or newer", "none: embedded"),
    listenUrl: optional(
      secret(postgresUrl),
      "a direct connection for LISTEN, needed if database.url leads to a pooler",
      "none: database.url"
    ),
    dataDirectory: setting(path, ".data/postgres", "data directory of the embedded PostgreSQL"),
    maxConnections: setting(wholeNumber(2, 1000), 10, "connections in the pool of one process"),
    prepare: setting(flag, true, "prepared statements; false for PgBouncer"),
    schema: setting(schemaName, "public", "database schema of all tables"),
    statementTimeoutMs: setting(wholeNumber(1, DAY_MS), 15_000, "a slower statement is cancelled"),
    acquireTimeoutMs: setting(wholeNumber(1, DAY_MS), 5000, "longest wait for a connection of the pool")
  },
  order: {
    queue: setting(oneOf(["memory", "postgres"]), "memory", "what announces orders to workers"),
    worker: {
      maxRetries: setting(
        perType.maxRetries,
        3,
        "failed attempts after which an order is FAILED; 0 is treated as 1; stored with each order when it is submitted"
      ),
      retryDelayMs: setting(perType.retryDelayMs, 1000, "delay before the first retry"),
      retryBackoff: setting(perType.retryBackoff, "exponential", "how the delay grows"),
      retryMaxDelayMs: setting(perType.retryMaxDelayMs, 300_000, "longest delay, jitter included"),
      retryJitter: setting(share, 0.2, "share by which the delay varies, up and down"),
      failureProbability: setting(share, 0, "probability that a simulated attempt fails"),
      failureSeed: optional(anyText, "seed that makes the simulated failures repeatable", "none: random"),
      processingDelayMs: setting(wholeNumber(0, DAY_MS), 0, "duration of a simulated attempt"),
      concurrency: setting(perType.concurrency, 100, "concurrent attempts in one process"),
      leaseMs: setting(
        wholeNumber(1000, DAY_MS),
        30_000,
        "after this time, the orders of a lost worker can be claimed again"
      ),
      attemptTimeoutMs: setting(perType.attemptTimeoutMs, 60_000, "a longer attempt fails with TIMEOUT"),
      pollIntervalMs: setting(wholeNumber(10, DAY_MS), 1000, "longest time between two polls for due orders"),
      drainTimeoutMs: setting(
        wholeNumber(0, DAY_MS),
        20_000,
        "how long running attempts may take to end at shutdown"
      ),
      types: optional(
        typeNames,
        "the order types that this worker takes: a list, or separated by commas",
        "all it has a processor for"
      )
    },
    breaker: {
      enabled: setting(
        flag,
        true,
        "whether a worker starts only one order of a type at a time while most attempts of that type fail"
      ),
      failureRate: setting(
        numberFrom(0.01, 1),
        0.8,
        "share of failed attempts at which the breaker of a type opens, over the last 100 attempts within the window"
      ),
      minimumAttempts: setting(
        wholeNumber(1, 10_000),
        20,
        "attempts within the window before which a breaker does not open"
      ),
      windowMs: setting(wholeNumber(100, DAY_MS), 10_000, "how far back attempts are counted"),
      probeIntervalMs: setting(
        wholeNumber(10, DAY_MS),
        1000,
        "time from the opening of a breaker to its first probe, and from a failed probe to the next"
      )
    },
    types: optional(
      namedSections(typeName, perType, '{"email": {"maxRetries": 5}}'),
      "settings per order type that override those of order.worker: maxRetries, retryDelayMs, retryBackoff, retryMaxDelayMs, attemptTimeoutMs, and concurrency (attempts of the type in one process); in the file, sections under the names of types; in the environment, JSON"
    ),
    groups: {
      maxRunning: optional(
        wholeNumber(1, 1_000_000),
        "concurrent attempts of each group that orders name, in all processes together"
      ),
      ratePerSecond: optional(
        numberFrom(0.001, 100_000),
        "starts per second of each group on average, in all processes together, with bursts of as many, at least 1"
      ),
      maxPending: optional(
        wholeNumber(1, 1_000_000_000),
        "limit of PENDING orders of each group; above it, new orders of the group are answered 429"
      )
    }
  },
  auth: {
    clientKeys: optional(
      secret(namedSecrets),
      "keys for /orders: a list, or name:secret separated by commas; a secret has at least 16 characters"
    ),
    operatorKeys: optional(
      secret(namedSecrets),
      "keys for every endpoint; without any key the server needs no authentication, which is allowed only on a loopback host"
    ),
    disabled: setting(flag, false, "true serves without authentication on a host that is not loopback")
  },
  intake: {
    maxBodyBytes: setting(wholeNumber(1024, 16_777_216), 65_536, "largest body of one order"),
    maxBulkBodyBytes: setting(wholeNumber(1024, 67_108_864), 8_388_608, "largest body of a bulk request"),
    maxPending: setting(
      wholeNumber(1, 100_000_000),
      1_000_000,
      "limit of PENDING orders that are due or wait behind another of their ordering key; above it, new orders are answered 503 with Retry-After"
    ),
    maxScheduled: setting(
      wholeNumber(1, 1_000_000_000),
      10_000_000,
      "limit of PENDING orders that are not due yet; above it, new orders with notBefore are answered 503"
    ),
    idempotencyTtlMs: setting(
      wholeNumber(DAY_MS, 365 * DAY_MS),
      DAY_MS,
      "how long the response to a request with an Idempotency-Key is kept"
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
      "lowest level that is logged: trace, debug, info, warn, error, fatal; the start line is always logged"
    ),
    format: setting(oneOf(["auto", "pretty", "json"]), "auto", "auto: pretty on a terminal, JSON otherwise")
  }
}

/** Settings that this version does not support yet; with one of them the process does not start. */
export const notYetSupported = ["sqs.queueUrl", "sqs.region", "sqs.endpoint", "telemetry.otlpEndpoint"]

/** The keys of the settings that the settings file may give as lists. */
export const listSettings = [...settingsByKey(settings)]
  .filter(([, { kind }]) => kind.list === true)
  .map(([key]) => key)

/** The keys of the settings that may be sections in the settings file, under names that the operator chooses. */
export const sectionSettings = [...settingsByKey(settings)]
  .filter(([, { kind }]) => kind.sections === true)
  .map(([key]) => key)

/** The validated settings of this process. Nothing else reads the environment or the settings file. */
export class Environment extends Context.Service<Environment, Values<typeof settings>>()(
  "order-platform/Environment"
) {
  /** Settings from the environment (the `ConfigProvider`) alone. */
  static readonly layer = Layer.effect(
    Environment,
    Effect.suspend(() => read([]))
  )

  /**
   * Settings from the environment and from the file `config` (by default `application.yaml`, if that file
   * exists). The environment wins.
   */
  static readonly layerFile = (config: Option.Option<string>) =>
    Layer.effect(
      Environment,
      Effect.flatMap(
        applicationYaml(
          config,
          settingsByKey(settings).keys(),
          notYetSupported,
          listSettings,
          sectionSettings
        ),
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
