import { Effect } from "effect"
import type { OrderPlatform } from "../../../application/OrderPlatform.ts"
import { CancelBody } from "../../../contract/OrderControlEndpoints.ts"
import type { OrderId } from "../../../domain/OrderId.ts"
import type { CallWithBody, ReadBody } from "../body/SmallBodies.ts"
import { CurrentRequest, operatorOf } from "../edge/CurrentRequest.ts"
import { versionOf, withIfMatch } from "./IfVersion.ts"

interface CancelCall extends CallWithBody {
  readonly params: { readonly id: OrderId }
  readonly headers: { readonly "if-match"?: ReadonlyArray<number> | null }
}

/** The handler of `POST /orders/{id}/cancel`. */
export const makeCancel = <T>(platform: OrderPlatform<T>, readBody: ReadBody) =>
  readBody(CancelBody)(
    Effect.fnUntraced(function* ({ headers, params: { id } }: CancelCall, body) {
      yield* withIfMatch(headers, versionOf(platform, id), (options) =>
        platform.cancel(id, { ...options, ...body })
      )
      return { orderId: id }
    })
  )

/** The handler of `POST /orders/{id}/run`. */
export const makeRun = <T>(platform: OrderPlatform<T>) =>
  Effect.fnUntraced(function* ({ params: { id } }: { readonly params: { readonly id: OrderId } }) {
    yield* platform.run(id, operatorOf(yield* CurrentRequest))
    return { orderId: id }
  })
