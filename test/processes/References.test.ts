import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Layer } from "effect"
import { Environment } from "../../src/Environment.ts"
import { LoopbackNamesOnly } from "../../src/infrastructure/http/edge/HostAndOrigin.ts"
import { references } from "../../src/processes/References.ts"

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
        const settings = yield* Effect.service(Environment).pipe(
          Effect.provide(
            Layer.provide(Environment.layer, ConfigProvider.layer(ConfigProvider.fromEnv({ env })))
          )
        )
        const loopbackNamesOnly = yield* Effect.provide(LoopbackNamesOnly, references(settings))
        assert.strictEqual(loopbackNamesOnly, only)
      })
  )
})
