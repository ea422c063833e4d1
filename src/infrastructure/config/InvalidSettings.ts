import { Schema } from "effect"

/**
 * The settings are invalid, so the process must not start. `message` has one line, a sentence, for each
 * problem.
 */
export class InvalidSettings extends Schema.TaggedError<InvalidSettings>()("InvalidSettings", {
  problems: Schema.NonEmptyArray(Schema.String)
}) {
  override get message() {
    return this.problems.join("\n")
  }
}
