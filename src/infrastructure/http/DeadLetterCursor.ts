import { DateTime, Effect, Schema, SchemaIssue, SchemaTransformation } from "effect"
import type { Page } from "../../application/ports/OrderRepository.ts"
import type { DeadLetter } from "../../domain/DeadLetter.ts"
import { OrderId } from "../../domain/OrderId.ts"

const Inside = Schema.StringFromBase64Url.pipe(
  Schema.decodeTo(Schema.fromJsonString(Schema.Tuple([Schema.DateTimeUtcFromString, OrderId])))
)

/**
 * Where a page of the dead letter queue ended: its last entry, in base64url so that nobody builds on what is
 * inside. An entry that is reprocessed meanwhile does not move the pages after it.
 */
export const DeadLetterCursor = Schema.String.annotate({
  description: "From the `Link` of the page before; opaque."
}).pipe(
  Schema.decodeTo(
    Schema.Struct({ at: Schema.DateTimeUtc, orderId: Schema.toType(OrderId) }),
    SchemaTransformation.transformEffect({
      // One issue for the whole: what is wrong inside is nothing that a client could mend.
      decode: (text, options) =>
        Schema.decodeEffect(Inside)(text).pipe(
          Effect.map(([at, orderId]) => ({ at, orderId })),
          Effect.mapError(
            () =>
              new SchemaIssue.InvalidValue({ message: "Expected a cursor as given in Link" }, text, options)
          )
        ),
      encode: ({ at, orderId }) => Effect.orDie(Schema.encodeEffect(Inside)([at, orderId]))
    })
  )
)

/** The page that a request asks for, one entry longer, so that it shows whether there is a next one. */
export const pageOf = (query: { readonly limit: number; readonly cursor?: Page["after"] }): Page => ({
  limit: query.limit + 1,
  after: query.cursor ?? null
})

/** The entries of the page, and the link to the next one if there is one. */
export const linkPage = (
  limit: number,
  found: ReadonlyArray<DeadLetter>
): { readonly body: ReadonlyArray<DeadLetter>; readonly headers: { readonly link?: string } } => {
  const body = found.slice(0, limit)
  const last = body.at(-1)
  if (found.length <= limit || last === undefined) return { body, headers: {} }
  const cursor = Schema.encodeSync(DeadLetterCursor)({
    at: DateTime.toUtc(last.failedAt),
    orderId: last.orderId
  })
  return { body, headers: { link: `</dlq?limit=${limit}&cursor=${cursor}>; rel="next"` } }
}
