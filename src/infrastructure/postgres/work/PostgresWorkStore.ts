import { Duration, Effect, Layer } from "effect"
import { WorkStore } from "../../../application/ports/WorkStore.ts"
import { toOrder } from "../client/OrderRow.ts"
import { fullBatch, repeatIdempotent } from "../client/RepeatStatements.ts"
import { Database } from "../client/Database.ts"
import { claimOrders } from "./ClaimOrders.ts"
import { expireLeases } from "./ExpireLeases.ts"
import { deregister, findCancelRequests, renewLeases } from "./RenewLeases.ts"
import { settleOrders, settleWithWrites } from "./SettleOrders.ts"

/**
 * Settle and renew are idempotent, so they are retried. Claim and expire are not retried; if the reply to a
 * claim is lost, its orders stay PROCESSING until they are released or their leases end. The app's writes
 * have no time limit here, because the attempt has one.
 */
export const layer = Layer.effect(
  WorkStore,
  Effect.gen(function* () {
    const { call, callWithin, schema, sql } = yield* Database
    const claim = claimOrders(sql, schema)
    const settle = settleOrders(sql, schema)
    const settleWrites = settleWithWrites(sql, schema)
    const renew = renewLeases(sql, schema)
    const expire = expireLeases(sql, schema)
    const cancelRequests = findCancelRequests(sql, schema)
    const remove = deregister(sql, schema)

    return WorkStore.of({
      claim: (request) => call(claim(request)),
      settle: (settlements) =>
        call(
          repeatIdempotent(
            Effect.map(settle(settlements), (rows) => rows.map(({ result }) => result)),
            settlements.length
          )
        ),
      settleWithWrites: (settlement, writes) =>
        callWithin(Duration.infinity)(settleWrites(settlement, writes)),
      // Only the database knows the number of orders, so the time limit is that of a full batch.
      renew: (worker, lease, report) => call(repeatIdempotent(renew(worker, lease, report), fullBatch)),
      findCancelRequests: (worker) => call(repeatIdempotent(cancelRequests(worker))),
      deregister: (worker) => call(Effect.asVoid(repeatIdempotent(remove(worker)))),
      expire: (max) => call(Effect.map(expire(max), (rows) => rows.map(toOrder)))
    })
  })
)
