import { Schema, SchemaTransformation } from "effect"

/**
 * The header `Last-Event-ID` (HTML Standard, 9.2): the version of the last event that the client received; 0 means
 * none.
 */
export const LastEventId = Schema.optionalKey(
  Schema.String.check(Schema.isPattern(/^(?:0|[1-9]\d{0,8})$/, { expected: "the id of an event, like 3" }))
    .annotate({ description: "The id of the last event received; the stream continues after it." })
    .pipe(Schema.decodeTo(Schema.Int, SchemaTransformation.transform({ decode: Number, encode: String })))
)
