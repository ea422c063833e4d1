import { assert, describe, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { isWholeForm } from "./WholeForm.ts"

// The compiler must not only reject a mistake of an app, but name it.

const root = fileURLToPath(new URL("..", import.meta.url))

const beginning = `
import { Effect, Layer, Schema } from "effect"
import { Memory, OrderPayload, OrderPlatform, OrderProcessor, OrderType, OrderTypes, OrderWorker } from "order-platform"
const coffee = OrderPayload.make(Schema.Struct({ drink: Schema.String }))
const parcel = OrderPayload.make(Schema.Struct({ street: Schema.String }))
const invoice = OrderType.make("invoice", Schema.Struct({ cents: Schema.Int }))
const email = OrderType.make("email", Schema.Struct({ to: Schema.String }))
const types = OrderTypes.make(invoice, email)
class NoBeans extends Schema.TaggedError<NoBeans>()("NoBeans", {}) {}
export const unused = [coffee, parcel, types, NoBeans, Memory, OrderPlatform, OrderProcessor, OrderWorker, Layer, Effect]
`

/** Sources with one mistake each, and what the message has to name. */
const mistakes: Readonly<Record<string, readonly [source: string, ...named: ReadonlyArray<string>]>> = {
  "a processor whose errors are not classified": [
    `export const wrong = OrderProcessor.layer(coffee, () => Effect.fail(new NoBeans()))`,
    "'NoBeans' is not assignable to type 'AttemptError'"
  ],
  "a processor of another payload": [
    `const deliver = OrderProcessor.layer(parcel, () => Effect.void)
export const wrong: Layer.Layer<OrderWorker> = OrderWorker.layer(coffee).pipe(Layer.provide([deliver, Memory.layer]))`,
    'OrderProcessor<"default", { readonly drink: string; }>'
  ],
  "a submission of another payload": [
    `export const wrong = (orders: OrderPlatform<typeof coffee.Payloads>) => orders.submit({ payload: { street: "Elm Street" } })`,
    "street"
  ],
  "no processor": [
    `export const wrong = Effect.runPromise(Layer.launch(OrderWorker.layer(coffee).pipe(Layer.provide(Memory.layer))))`,
    'OrderProcessor<"default", { readonly drink: string; }>'
  ],
  "no store of orders": [
    `export const wrong: Layer.Layer<OrderPlatform<typeof coffee.Payloads>> = OrderPlatform.layer(coffee)`,
    "Stores"
  ],
  "no processor of one type": [
    `export const wrong: Layer.Layer<OrderWorker> = OrderWorker.layer(types).pipe(
  Layer.provide([OrderProcessor.layer(email, () => Effect.void), Memory.layer])
)`,
    'OrderProcessor<"invoice", { readonly cents: number; }>'
  ],
  "a type that does not exist": [
    `export const wrong = (orders: OrderPlatform<typeof types.Payloads>) => orders.submit({ type: "parcel", payload: { cents: 1 } })`,
    "'\"parcel\"'",
    '"email" | "invoice"'
  ],
  "the payload of another type": [
    `export const wrong = (orders: OrderPlatform<typeof types.Payloads>) => orders.submit({ type: "email", payload: { cents: 1 } })`,
    "'cents' does not exist in type '{ readonly to: string; }'"
  ]
}

describe("The compiler", () => {
  // In the whole form only: it compiles the package for several seconds, and what it checks hardly ever changes.
  it.runIf(isWholeForm)("names what is wrong", () => {
    const folder = fs.mkdtempSync(path.join(root, "test/mistakes-"))
    try {
      fs.writeFileSync(
        path.join(folder, "tsconfig.json"),
        JSON.stringify({ extends: "../../tsconfig.json", include: ["."] })
      )
      for (const [n, [source]] of Object.values(mistakes).entries())
        fs.writeFileSync(path.join(folder, `mistake${n}.ts`), `${beginning}${source}\n`)
      const output = ((): string => {
        try {
          const tsc = path.join(root, "node_modules/typescript/bin/tsc")
          return execFileSync(process.execPath, [tsc, "-p", folder, "--pretty", "false"], {
            encoding: "utf8",
            cwd: folder
          })
        } catch (error) {
          return String((error as { readonly stdout: unknown }).stdout)
        }
      })()
      // One message per file: it starts with the file's name and continues on indented lines.
      const messages = output.split(/^(?=mistake)/m)
      for (const [n, [mistake, [, ...named]]] of Object.entries(mistakes).entries()) {
        const own = messages.filter((message) => message.startsWith(`mistake${n}.ts`))
        assert.strictEqual(own.length, 1, `${mistake}: ${output}`)
        for (const name of named) assert.include(own[0], name, mistake)
      }
    } finally {
      fs.rmSync(folder, { recursive: true, force: true })
    }
  })
})
