import { Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import type { OrderPlatform } from "../../../application/OrderPlatform.ts"
import type { OrderApi } from "../../../contract/OrderApi.ts"
import { PauseBody, ResumeBody, viewWorkers } from "../../../contract/WorkersEndpoints.ts"
import type { CallWithBody, ReadBody } from "../body/SmallBodies.ts"
import { CurrentRequest, operatorOf } from "../edge/CurrentRequest.ts"
import { layerHandlers } from "../edge/PipelinedRoutes.ts"

/** The handlers of the group `workers`. */
export const workerHandlers = <T>(api: OrderApi<T>, platform: OrderPlatform<T>, readBody: ReadBody) => {
  const get = Effect.map(
    Effect.all([platform.pauses, platform.typesWithoutWorker, platform.workers]),
    ([pauses, types, processes]) => viewWorkers(pauses, types, processes)
  )
  const pause = readBody(PauseBody)(
    Effect.fnUntraced(function* (_: CallWithBody, request) {
      yield* platform.pause(request, operatorOf(yield* CurrentRequest))
      return yield* get
    })
  )
  const resume = readBody(ResumeBody)(
    Effect.fnUntraced(function* (_: CallWithBody, scope) {
      yield* platform.resume(scope, operatorOf(yield* CurrentRequest))
      return yield* get
    })
  )
  return layerHandlers(
    HttpApiBuilder.group(api, "workers", (handlers) =>
      handlers
        .handle("get", () => get)
        // A `SchemaError` is a defect here, because the body was decoded.
        .handleRaw("pause", (call) => Effect.catchTag(pause(call), "SchemaError", Effect.die))
        .handleRaw("resume", (call) => Effect.catchTag(resume(call), "SchemaError", Effect.die))
    )
  )
}
