import { Data } from "effect"

/** The database cannot be used, and waiting does not help. The message is a sentence for the operator. */
export class DatabaseRefuses extends Data.TaggedError("DatabaseRefuses")<{ readonly message: string }> {}
