import { Schema, SchemaTransformation } from "effect"

/** The version that a client received last, in the header `Last-Event-ID` (HTML Standard, 9.2); 0 is none. */
export const LastEventId = Schema.optionalKey(
  Schema.String.check(Schema.isPattern(/^(?:0|[1-9]\d{0,8})$/, { expected: "the id of an event, like 3" }))
    .annotate({ description: "The id of the last event received: the stream goes on after it." })
    .pipe(Schema.decodeTo(Schema.Int, SchemaTransformation.transform({ decode: Number, encode: String })))
)
