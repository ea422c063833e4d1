import { Result } from "effect"
import type { SubmissionRefused } from "../../../application/intake/Submission.ts"
import type { SubmittedOrders } from "../../../contract/SubmitOrdersBody.ts"
import type { OrderId } from "../../../domain/OrderId.ts"
import { invalidRequest } from "../body/RequestIssues.ts"

/** The results as callers see them: what is wrong with an order has the path that it has in the whole body. */
export const viewResults = (
  results: ReadonlyArray<Result.Result<OrderId, SubmissionRefused>>
): typeof SubmittedOrders.Type => ({
  results: results.map((result, place) =>
    Result.match(result, {
      onSuccess: (orderId) => ({ orderId }),
      onFailure: ({ issues, unlisted }) => ({
        problem: invalidRequest(
          issues.map(({ message, path }) => ({ in: "body", path: ["orders", place, ...path], message })),
          unlisted
        )
      })
    })
  )
})
