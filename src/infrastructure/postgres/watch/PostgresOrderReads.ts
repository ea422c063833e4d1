import { Duration, Effect, Layer } from "effect"
import { OrderReads, readinessLimit } from "../../../application/ports/OrderReads.ts"
import { repeatAfterTrouble, repeatIdempotent } from "../client/RepeatStatements.ts"
import { Database } from "../client/Database.ts"
import { whyWaiting } from "./ExplainOrder.ts"
import { findOrder, readTimeline } from "./FindOrder.ts"
import { listOrders } from "./ListOrders.ts"
import { readBacklog, readStats } from "./Stats.ts"
import { eventsAfter } from "./WatchOrder.ts"

/**
 * Shorter than the readiness limit, so that a database that does not respond is logged before the readiness
 * check ends.
 */
const pingLimit = Duration.subtract(readinessLimit, Duration.millis(100))

/**
 * All reads are retried, except backlog and ping. Reads of orders by their ids have short time limits and are
 * repeated on another connection; lists and stats have no such limits.
 */
export const layer = Layer.effect(
  OrderReads,
  Effect.gen(function* () {
    const { call, callWithin, checkStores, schema, sql } = yield* Database
    const find = findOrder(sql, schema)
    const timeline = readTimeline(sql, schema)
    const after = eventsAfter(sql, schema)
    const why = whyWaiting(sql, schema)
    const list = listOrders(sql, schema)

    return OrderReads.of({
      find: (id) => call(repeatIdempotent(find(id))),
      timeline: (id) => call(repeatIdempotent(timeline(id))),
      eventsAfter: (positions, limits) => call(repeatIdempotent(after(positions, limits))),
      whyWaiting: (id, options) => call(repeatIdempotent(why(id, options))),
      list: (page, filter) => call(repeatAfterTrouble(list(page, filter))),
      backlog: call(readBacklog(sql, schema)),
      stats: call(repeatAfterTrouble(readStats(sql, schema))),
      ping: callWithin(pingLimit)(checkStores)
    })
  })
)
