import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Duration, Effect, Layer } from "effect"
import { WorkerSettings } from "../../src/application/work/WorkerSettings.ts"
import { apiVersion } from "../../src/contract/OrderApi.ts"
import { DefaultGroupLimits } from "../../src/domain/Groups.ts"
import { SettingsOfTypes } from "../../src/domain/TypeSettings.ts"
import { Environment } from "../../src/Environment.ts"
import { LoopbackNamesOnly } from "../../src/infrastructure/http/edge/HostAndOrigin.ts"
import { references } from "../../src/processes/References.ts"

const settingsFrom = (env: Record<string, string>) =>
  Effect.service(Environment).pipe(
    Effect.provide(Layer.provide(Environment.layer, ConfigProvider.layer(ConfigProvider.fromEnv({ env }))))
  )

describe("a server without keys", () => {
  it.effect.each([
    ["127.0.0.1", "false", true],
    ["localhost", "true", true],
    ["::1", "true", true],
    ["0.0.0.0", "true", false],
    ["10.0.0.1", "true", false]
  ] as const)(
    "on %s with auth.disabled %s accepts only loopback names in Host: %s",
    ([host, disabled, only]) =>
      Effect.gen(function* () {
        const env = { SERVER_HOST: host, AUTH_DISABLED: disabled }
        const settings = yield* settingsFrom(env)
        const loopbackNamesOnly = yield* Effect.provide(LoopbackNamesOnly, references(settings))
        assert.strictEqual(loopbackNamesOnly, only)
      })
  )
})

describe("the settings of types, groups and workers", () => {
  it.effect("reach the layers that use them, and what was not given is absent", () =>
    Effect.gen(function* () {
      const settings = yield* settingsFrom({
        ORDER_TYPES:
          '{"email": {"maxRetries": 8, "retryDelayMs": 500, "attemptTimeoutMs": 2000, "concurrency": 5}, "sms": {}}',
        ORDER_GROUPS_RATE_PER_SECOND: "0.5",
        ORDER_WORKER_TYPES: "email,sms"
      })
      const { limits, types, worker } = yield* Effect.all({
        limits: DefaultGroupLimits,
        types: SettingsOfTypes,
        worker: WorkerSettings
      }).pipe(Effect.provide(references(settings, "serve")))
      assert.deepStrictEqual(types, {
        email: {
          maxRetries: 8,
          attemptTimeout: Duration.seconds(2),
          concurrency: 5,
          retryPolicy: { delay: Duration.millis(500) }
        },
        sms: { retryPolicy: {} }
      })
      assert.deepStrictEqual(limits, { maxRunning: null, ratePerSecond: 0.5, maxPending: null })
      assert.deepStrictEqual(
        [worker.types, worker.role, worker.version],
        [["email", "sms"], "serve", apiVersion]
      )
    })
  )
})
