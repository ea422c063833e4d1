import { type Schema, SchemaIssue } from "effect"
import { InvalidRequest, type RequestIssue } from "./Problems.ts"

/** The most issues listed in one answer, so that a hostile body cannot make it larger than itself many times. */
const maxIssues = 1000

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

/** The problem that a request with these issues gets. */
export const invalidRequest = (errors: ReadonlyArray<RequestIssue>): InvalidRequest => {
  const more = errors.length > maxIssues ? ` The first ${maxIssues} are listed.` : ""
  const [first] = errors
  const where =
    first === undefined || first.path.length === 0 ? first?.in : `${first.path.join(".")} (${first.in})`
  return new InvalidRequest({
    detail:
      errors.length === 1
        ? `${where}: ${first?.message}.`
        : `${errors.length} things are wrong with the request, see errors.${more}`,
    errors: errors.slice(0, maxIssues)
  })
}
