// A shop with its own router, database client and tables that embeds the platform: it submits orders in its own
// transactions, and each invoice commits with the order's completion.
import { Effect, Layer, Schema } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { SqlClient } from "effect/sql"
import {
  OrderPayload,
  OrderPlatform,
  OrderProcessor,
  OrderRoutes,
  OrderWorker,
  PermanentFailure,
  Postgres,
  Writes
} from "order-platform"

const Purchase = Schema.Struct({
  customer: Schema.String.check(Schema.isMinLength(1)),
  cents: Schema.Int.check(Schema.isGreaterThan(0))
})
export const purchase = OrderPayload.make(Purchase, { name: "purchase" })

/** The shop's own tables, next to those of the platform. */
export const migrate = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`CREATE TABLE IF NOT EXISTS customers (name text PRIMARY KEY, purchases int NOT NULL)`
  yield* sql`CREATE TABLE IF NOT EXISTS invoices (order_id uuid PRIMARY KEY, cents int NOT NULL)`
})

/** The processor refuses an order above 1,000.00. Every other order gets exactly one invoice. */
const billing = OrderProcessor.layer(
  purchase,
  Effect.fnUntraced(function* ({ orderId, payload }) {
    if (payload.cents > 100_000) return yield* new PermanentFailure({ reason: "too expensive for us" })
    const sql = yield* SqlClient.SqlClient
    return new Writes({
      writes: sql`INSERT INTO invoices (order_id, cents) VALUES (${orderId}, ${payload.cents})`
    })
  })
)

const shopRoutes = HttpRouter.use(
  Effect.fnUntraced(function* (router) {
    const sql = yield* SqlClient.SqlClient
    const orders = yield* OrderPlatform.service(purchase)

    // The customer's count and the order commit together or not at all; workers are woken after the commit.
    const buy = Effect.gen(function* () {
      const bought = yield* HttpServerRequest.schemaBodyJson(Purchase)
      const orderId = yield* sql.withTransaction(
        Effect.gen(function* () {
          yield* sql`INSERT INTO customers VALUES (${bought.customer}, 1)
            ON CONFLICT (name) DO UPDATE SET purchases = customers.purchases + 1`
          return yield* orders.submit({ payload: bought, metadata: { customer: bought.customer } })
        })
      )
      return yield* HttpServerResponse.json({ orderId }, { status: 202 })
    })

    const invoice = Effect.gen(function* () {
      const { id = "" } = yield* HttpRouter.params
      const [found] = yield* sql`SELECT cents FROM invoices WHERE order_id::text = ${id}`
      return found === undefined
        ? HttpServerResponse.empty({ status: 404 })
        : yield* HttpServerResponse.json(found)
    })

    yield* router.add("POST", "/buy", buy)
    yield* router.add("GET", "/invoices/:id", invoice)
  })
)

/** The shop's routes and the platform's, on one router. */
export const routes = Layer.mergeAll(shopRoutes, OrderRoutes.layer(purchase))

/** The dependencies of the routes: the platform and its worker, on the shop's own PgClient. */
export const platform = OrderWorker.layer(purchase).pipe(
  Layer.provide(billing),
  Layer.provideMerge(OrderPlatform.layer(purchase)),
  Layer.provide(Postgres.layer),
  Layer.provide(Layer.effectDiscard(migrate))
)
