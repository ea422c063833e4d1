import { type Schema, SchemaIssue } from "effect"
import { listedIssues, roomForIssues } from "./ListedIssues.ts"
import { InvalidRequest, type RequestIssue } from "../../../contract/RequestErrors.ts"

const format = SchemaIssue.makeFormatterStandardSchemaV1({
  leafHook: (issue) => {
    switch (issue._tag) {
      case "UnexpectedKey":
        return "This key is not known here"
      case "MissingKey":
        return "This key is missing"
      default:
        return SchemaIssue.defaultLeafHook(issue)
    }
  }
})

/** The path of an issue as JSON: array indices stay numbers. */
const segment = (key: PropertyKey | { readonly key: PropertyKey }): string | number => {
  const plain = typeof key === "object" ? key.key : key
  return typeof plain === "number" ? plain : String(plain)
}

/** Every issue of a failed decoding, with its path inside that part of the request. */
export const requestIssues = (
  part: RequestIssue["in"],
  error: Schema.SchemaError
): ReadonlyArray<RequestIssue> =>
  format(error.issue).issues.map(({ message, path }) => ({
    in: part,
    path: (path ?? []).map(segment),
    message
  }))

/** The problem that a request with these issues gets, and `unlisted` more that are not even here: as many as have room. */
export const invalidRequest = (issues: ReadonlyArray<RequestIssue>, unlisted = 0): InvalidRequest => {
  const { listed: errors } = listedIssues(issues, roomForIssues)
  const count = issues.length + unlisted
  const [first] = errors
  if (count === 1 && first !== undefined) {
    const where = first.path.length === 0 ? first.in : `${first.path.join(".")} (${first.in})`
    return new InvalidRequest({ message: `${where}: ${first.message}.`, errors })
  }
  return new InvalidRequest({
    message:
      errors.length === count
        ? `${count} things are wrong with the request, see errors.`
        : `At least ${count} things are wrong with the request; errors has the first ${errors.length}.`,
    errors
  })
}
