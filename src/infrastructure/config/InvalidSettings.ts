import { Schema } from "effect"

/** The process must not start: `message` has one sentence, on a line of its own, for each thing wrong. */
export class InvalidSettings extends Schema.TaggedError<InvalidSettings>()("InvalidSettings", {
  problems: Schema.NonEmptyArray(Schema.String)
}) {
  override get message() {
    return this.problems.join("\n")
  }
}
