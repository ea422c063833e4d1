import { Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { LimitsToSet } from "../domain/Groups.ts"
import { GroupName } from "../domain/Lane.ts"
import { pageQuery } from "./ListingQuery.ts"
import { AcceptableAnswers, OperatorsOnly, RequestDecoding } from "./Middleware.ts"
import { describeParameters, limitDescription } from "./openapi/QueryParameters.ts"
import { bodyProblems, Problems, temporary } from "./Problems.ts"

/** The limits of a group as JSON. */
export const GroupView = Schema.Struct({
  group: Schema.String,
  maxRunning: Schema.NullOr(Schema.Int),
  ratePerSecond: Schema.NullOr(Schema.Finite),
  maxPending: Schema.NullOr(Schema.Int)
}).annotate({
  identifier: "Group",
  description: "The limits set for a group; one that is null has the default of the settings order.groups."
})

/** The body of `PUT /groups/{group}`. */
export const GroupLimitsBody = LimitsToSet.annotate({ identifier: "GroupLimits" })

const params = { group: GroupName.annotate({ description: "The name of the group, percent-encoded." }) }

/** The endpoints of the limits of groups, for operators. */
export const GroupsApi = HttpApiGroup.make("groups")
  .add(
    HttpApiEndpoint.get("list", "/groups", {
      query: pageQuery,
      success: HttpApiSchema.WithHeaders(Schema.Array(GroupView), {
        link: Schema.optionalKey(Schema.String)
      }),
      error: [Problems.InvalidRequest, temporary(Problems.OrdersUnavailable)]
    })
      .annotate(HttpApi.QueryParseOptions, { errors: "all", onExcessProperty: "error", reportInput: true })
      .annotateMerge(
        OpenApi.annotations({
          summary: "List the groups for which limits were set, by name",
          description:
            'The header `Link` with rel="next" leads to the next page; the last page has no such header.',
          transform: describeParameters({ limit: limitDescription })
        })
      ),
    HttpApiEndpoint.put("set", "/groups/:group", {
      params,
      payload: GroupLimitsBody,
      success: GroupView,
      error: [...bodyProblems, temporary(Problems.BodyBudgetExhausted, Problems.OrdersUnavailable)]
    }).annotateMerge(
      OpenApi.annotations({
        summary: "Set the limits of a group",
        description:
          "Replaces all limits set before: one that is absent has its default. Holds over all processes within 2 seconds. At least one limit must be given."
      })
    ),
    HttpApiEndpoint.delete("delete", "/groups/:group", {
      params,
      success: HttpApiSchema.NoContent,
      error: [Problems.GroupNotFound, temporary(Problems.OrdersUnavailable)]
    }).annotateMerge(
      OpenApi.annotations({
        summary: "Remove the limits set for a group",
        description: "The group then has the default limits. 404 if none were set."
      })
    )
  )
  .middleware(RequestDecoding)
  .middleware(AcceptableAnswers)
  .middleware(OperatorsOnly)
  .annotateMerge(OpenApi.annotations({ title: "Groups", description: "Limits of groups of orders." }))
