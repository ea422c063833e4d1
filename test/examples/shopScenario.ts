import { strict as assert } from "node:assert"
import { eventually } from "./ExampleProcess.ts"

interface Answer {
  readonly status: number
  readonly body: Readonly<Record<string, unknown>>
}

/** Runs a customer's calls against examples/shop at the url, and checks what the example promises. */
export const shopScenario = async (url: string, said: () => string): Promise<void> => {
  const call = async (path: string, body?: unknown): Promise<Answer> => {
    const post = { method: "POST", headers: { "content-type": "application/json" } }
    const signal = AbortSignal.timeout(5000)
    const init = body === undefined ? { signal } : { ...post, signal, body: JSON.stringify(body) }
    const response = await fetch(`${url}${path}`, init)
    const text = await response.text()
    return {
      status: response.status,
      body: text === "" ? {} : (JSON.parse(text) as Readonly<Record<string, unknown>>)
    }
  }
  const ending = (id: unknown) =>
    eventually(async () => {
      const { body } = await call(`/orders/${String(id)}`)
      return body["status"] === "PROCESSED" || body["status"] === "FAILED" ? body : undefined
    }, said)

  await eventually(
    () => call("/health/ready").then(({ status }) => (status === 200 ? true : undefined)),
    said
  )

  // The shop's route submits an order, the platform's route shows it, and the invoice was committed with its end.
  const bought = await call("/buy", { customer: "ann", cents: 450 })
  assert.equal(bought.status, 202, JSON.stringify(bought.body))
  const order = await ending(bought.body["orderId"])
  assert.deepEqual([order["status"], order["metadata"]], ["PROCESSED", { customer: "ann" }])
  assert.deepEqual(await call(`/invoices/${String(bought.body["orderId"])}`), {
    status: 200,
    body: { cents: 450 }
  })

  // The platform's route accepts orders too, and an order refused by the processor has no invoice.
  const refused = await call("/orders", { payload: { customer: "bob", cents: 100_001 } })
  const failed = await ending(refused.body["orderId"])
  assert.deepEqual([failed["status"], failed["failureReason"]], ["FAILED", "too expensive for us"])
  assert.equal((await call(`/invoices/${String(refused.body["orderId"])}`)).status, 404)

  // The schema of the app validates, with the path of every issue, and is in the OpenAPI document.
  const invalid = await call("/orders", { payload: { customer: "", cents: 1.5 } })
  assert.equal(invalid.status, 400)
  const issues = invalid.body["errors"] as ReadonlyArray<{ readonly path: ReadonlyArray<unknown> }>
  assert.deepEqual(issues.map(({ path }) => path.join(".")).sort(), ["payload.cents", "payload.customer"])
  assert.match(JSON.stringify((await call("/openapi.json")).body), /"customer"/)
}
