import { type Schema, type SchemaAST, SchemaIssue } from "effect"
import { nearestKey } from "./NearestKey.ts"

/** One fault of a value, and its path. */
interface ValidationIssue {
  readonly path: ReadonlyArray<string | number>
  readonly message: string
}

const anyOf = (words: ReadonlyArray<string>): string => {
  const all = [...new Set(words)]
  return all.length < 2 ? (all[0] ?? "nothing") : `${all.slice(0, -1).join(", ")} or ${all.at(-1)}`
}

const isInteger = ({ checks }: SchemaAST.AST): boolean =>
  checks !== undefined && checks.some(({ annotations }) => annotations?.expected === "an integer")

/** What a schema expects, in terms of JSON. Names of schemas mean nothing to a caller, so they are never used. */
const expectedBy = (ast: SchemaAST.AST): string => {
  switch (ast._tag) {
    case "Null":
      return "null"
    case "String":
    case "TemplateLiteral":
      return "a string"
    case "Number":
      return isInteger(ast) ? "a whole number" : "a number"
    case "Boolean":
      return "true or false"
    case "Literal":
      return typeof ast.literal === "bigint" ? String(ast.literal) : JSON.stringify(ast.literal)
    case "Enum":
      return anyOf(ast.enums.map(([, value]) => JSON.stringify(value)))
    case "Arrays":
      return "an array"
    case "Objects":
      return "an object"
    case "Union":
      // JSON has no undefined.
      return anyOf(ast.types.filter(({ _tag }) => _tag !== "Undefined").map(expectedBy))
    case "Suspend":
      return expectedBy(ast.thunk())
    default:
      return "a different value"
  }
}

const typeOf = (value: unknown): string => {
  if (value === null) return "null"
  if (Array.isArray(value)) return "an array"
  if (typeof value === "object") return "an object"
  return value === undefined ? "nothing" : `a ${typeof value}`
}

/** The JSON type of the wrong value, as the end of a message. */
const gotAfter = (expected: string, issue: SchemaIssue.Issue): string => {
  if (!SchemaIssue.hasInput(issue)) return ""
  const type = typeOf(issue.input)
  // If the expected values are strings as well, the type says nothing.
  return type === "a string" && expected.includes('"') ? "" : `, got ${type}`
}

const textOf = (annotations: Schema.Annotations.Annotations | undefined, key: string): string | undefined => {
  const text = annotations?.[key]
  return typeof text === "string" ? text : undefined
}

// Rewords the expectations of Effect's own checks, so that they read like the other messages.
const plain = (expected: string): string =>
  expected
    .replace("an integer", "a whole number")
    .replace("a string representing a finite number", "a number")
    .replace("code points", "characters")

const messageOfCheck = (issue: SchemaIssue.Filter): string | undefined => {
  const message = SchemaIssue.defaultCheckHook(issue)
  if (message !== undefined || issue.issue._tag !== "InvalidValue") return message
  const { annotations } = issue.filter
  const expected = textOf(issue.issue.annotations, "expected") ?? textOf(annotations, "expected")
  if (expected === undefined) return "This value is not valid here"
  const { input } = SchemaIssue.hasInput(issue) ? issue : { input: undefined }
  return `Expected ${plain(expected)}${typeof input === "number" ? `, got ${input}` : ""}`
}

const unknownKey = (ast: SchemaAST.AST, key: string | number | undefined): string => {
  const known = ast._tag === "Objects" ? ast.propertySignatures.map(({ name }) => String(name)) : []
  const meant = typeof key === "string" ? nearestKey(key, known) : undefined
  return meant === undefined
    ? "This key is not known here"
    : `This key is not known here; did you mean ${meant}?`
}

const messageOf = (issue: SchemaIssue.Leaf | SchemaIssue.AnyOf, path: ValidationIssue["path"]): string => {
  switch (issue._tag) {
    case "UnexpectedKey":
      return textOf(issue.ast.annotations, "messageUnexpectedKey") ?? unknownKey(issue.ast, path.at(-1))
    case "MissingKey":
      return textOf(issue.annotations, "messageMissingKey") ?? "This key is missing"
    case "InvalidType":
    case "AnyOf": {
      const expected = expectedBy(issue.ast)
      return textOf(issue.ast.annotations, "message") ?? `Expected ${expected}${gotAfter(expected, issue)}`
    }
    case "InvalidValue": {
      const expected = textOf(issue.annotations, "expected")
      return (
        textOf(issue.annotations, "message") ??
        (expected === undefined ? "This value is not valid here" : `Expected ${plain(expected)}`)
      )
    }
    default:
      return "This value is not valid here"
  }
}

const collect = (
  issue: SchemaIssue.Issue,
  path: ValidationIssue["path"],
  message?: string
): ReadonlyArray<ValidationIssue> => {
  switch (issue._tag) {
    case "Filter":
      return collect(issue.issue, path, message ?? messageOfCheck(issue))
    case "Encoding":
      return collect(issue.issue, path, message)
    case "Pointer":
      return collect(issue.issue, [...path, ...issue.path.map(segment)], message)
    case "Composite":
      return issue.issues.flatMap((each) => collect(each, path, message))
    case "AnyOf":
      if (issue.issues.length > 0) return issue.issues.flatMap((each) => collect(each, path, message))
  }
  return [{ path, message: message ?? messageOf(issue, path) }]
}

// An array index stays a number.
const segment = (key: PropertyKey): string | number => (typeof key === "number" ? key : String(key))

/**
 * Every issue of a value that does not fit a schema, in words for people who do not know the code. Effect's own
 * formatter is not used, because its messages name schemas and show values.
 */
export const validationIssues = ({ issue }: Schema.SchemaError): ReadonlyArray<ValidationIssue> =>
  collect(issue, [])
