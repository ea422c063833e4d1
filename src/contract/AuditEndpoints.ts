import { Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import type { AuditEntry } from "../domain/Audit.ts"
import { pageQuery } from "./ListingQuery.ts"
import { AcceptableAnswers, OperatorsOnly, RequestDecoding } from "./Middleware.ts"
import { describeParameters, limitDescription } from "./openapi/QueryParameters.ts"
import { Problems, temporary } from "./Problems.ts"

/** An entry of the audit as JSON. */
export const AuditEntryView = Schema.Struct({
  at: Schema.DateTimeUtcFromString,
  by: Schema.NullOr(Schema.String).annotate({
    description: "The name of the operator's key; null if the server has no keys."
  }),
  action: Schema.Literals([
    "reprocess",
    "discard",
    "run",
    "pause",
    "resume",
    "set group limits",
    "delete group limits",
    "mark fixed"
  ]),
  subject: Schema.String.annotate({
    description:
      "What was changed: an order's id, `group NAME`, the scope of a pause, or `failure group FINGERPRINT`, with the version of its fix."
  }),
  reason: Schema.NullOr(Schema.String),
  correlationId: Schema.NullOr(Schema.String)
}).annotate({ identifier: "AuditEntry" })

/** The endpoint of the audit, for operators. */
export const AuditApi = HttpApiGroup.make("audit")
  .add(
    HttpApiEndpoint.get("list", "/audit", {
      query: pageQuery,
      success: HttpApiSchema.WithHeaders(Schema.Array(AuditEntryView), {
        link: Schema.optionalKey(Schema.String)
      }),
      error: [Problems.InvalidRequest, temporary(Problems.OrdersUnavailable)]
    })
      .annotate(HttpApi.QueryParseOptions, { errors: "all", onExcessProperty: "error", reportInput: true })
      .annotateMerge(
        OpenApi.annotations({
          summary: "List what operators did, newest first",
          description:
            'The header `Link` with rel="next" leads to the next page; the last page has no such header.',
          transform: describeParameters({ limit: limitDescription })
        })
      )
  )
  .middleware(RequestDecoding)
  .middleware(AcceptableAnswers)
  .middleware(OperatorsOnly)
  .annotateMerge(OpenApi.annotations({ title: "Audit", description: "What operators did." }))

/** The entry as JSON. */
export const viewAuditEntry = (entry: AuditEntry): typeof AuditEntryView.Type => ({
  at: entry.at,
  by: entry.by,
  action: entry.action,
  subject: entry.subject,
  reason: entry.reason,
  correlationId: entry.correlationId
})
