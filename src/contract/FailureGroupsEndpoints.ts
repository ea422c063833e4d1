import { Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { maxReasonLength } from "../domain/Failure.ts"
import { FailureGroup, Fingerprint } from "../domain/FailureGroup.ts"
import { pageQuery } from "./ListingQuery.ts"
import { AcceptableAnswers, OperatorsOnly, RequestDecoding } from "./Middleware.ts"
import { withOptionalBody } from "./openapi/OptionalBody.ts"
import { describeParameters, limitDescription } from "./openapi/QueryParameters.ts"
import { bodyProblems, Problems, temporary } from "./Problems.ts"

/** The body of `POST /dlq/groups/{fingerprint}/fixed`. */
export const MarkFixedBody = Schema.Struct({
  version: Schema.optionalKey(
    Schema.String.check(Schema.isBetweenCodePoints(1, 200, { expected: "1 to 200 characters" })).annotate({
      description: "The version of the program that has the fix, as processes report it in `GET /worker`."
    })
  ),
  reason: Schema.optionalKey(
    Schema.String.annotate({
      description: `The reason shown in the audit; cut at ${maxReasonLength} characters.`
    })
  )
}).annotate({ identifier: "MarkFixed" })

/** The endpoints of failure groups, for operators. */
export const FailureGroupsApi = HttpApiGroup.make("failureGroups")
  .add(
    HttpApiEndpoint.get("list", "/dlq/groups", {
      query: pageQuery,
      success: HttpApiSchema.WithHeaders(Schema.Array(FailureGroup), {
        link: Schema.optionalKey(Schema.String)
      }),
      error: [Problems.InvalidRequest, temporary(Problems.OrdersUnavailable)]
    })
      .annotate(HttpApi.QueryParseOptions, { errors: "all", onExcessProperty: "error", reportInput: true })
      .annotateMerge(
        OpenApi.annotations({
          summary: "List the failure groups of the dead letter queue, the largest first",
          description:
            'Only groups that have entries. The header `Link` with rel="next" leads to the next page; the last page has no such header. A group whose count changes between two pages may be in both or in none.',
          transform: describeParameters({ limit: limitDescription })
        })
      ),
    HttpApiEndpoint.post("markFixed", "/dlq/groups/:fingerprint/fixed", {
      params: { fingerprint: Fingerprint.annotate({ description: "As in `GET /dlq/groups`." }) },
      payload: [MarkFixedBody, HttpApiSchema.NoContent],
      success: FailureGroup,
      error: [
        ...bodyProblems,
        Problems.FailureGroupNotFound,
        temporary(Problems.BodyBudgetExhausted, Problems.OrdersUnavailable)
      ]
    }).annotateMerge(
      OpenApi.annotations({
        summary: "Mark a failure group as fixed",
        description:
          "The group is `fixed` until an entry is added by a process that was registered after this call or, with `version`, by one that reports this version; then it is `regressed`. Replaces an earlier mark. The body is optional.",
        transform: withOptionalBody
      })
    )
  )
  .middleware(RequestDecoding)
  .middleware(AcceptableAnswers)
  .middleware(OperatorsOnly)
  .annotateMerge(
    OpenApi.annotations({
      title: "Failure groups",
      description: "Dead letters of the same type, code and message, apart from ids and numbers."
    })
  )
