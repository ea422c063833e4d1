import { HttpApi, HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import { type Content, type Json, namesIn, type Operation, reference, type Response } from "./OpenApiParts.ts"
import { problemExamples } from "./ProblemExamples.ts"
import { problemMediaType, Problems } from "../Problems.ts"

/** The members of every error; a type may add others. */
export const problemSchema = {
  type: "object",
  description:
    "A problem (RFC 9457). Its `type` is stable; `title` and `detail` are for people and may change.",
  required: ["type", "title", "status", "detail"],
  properties: {
    type: {
      type: "string",
      format: "uri",
      description: "The type of the problem: one of `urn:order-platform:…`."
    },
    title: { type: "string" },
    status: { type: "integer" },
    detail: { type: "string", description: "What is wrong in this case, and often how to fix it." }
  }
}

/** The schemas of the problems that any request may get and no endpoint declares. */
export const commonProblems: Readonly<Record<string, Json>> = OpenApi.fromApi(
  HttpApi.make("any").add(
    HttpApiGroup.make("any").add(
      HttpApiEndpoint.get("any", "/", {
        error: [
          Problems.InvalidRequest,
          Problems.NoSuchPath,
          Problems.MethodNotAllowed,
          Problems.InternalFault,
          Problems.Unavailable
        ]
      })
    )
  )
).components.schemas as unknown as Readonly<Record<string, Json>>

const problems = (description: string, ...names: ReadonlyArray<string>): Response => ({
  description,
  content: {
    [problemMediaType]: {
      schema: names.length === 1 ? reference(names[0] ?? "") : { anyOf: names.map(reference) }
    }
  }
})

/** The responses of an operation, and the responses that any operation may have. */
export const withCommonProblems = (responses: Operation["responses"]): Operation["responses"] => {
  const { 503: declared, ...others } = responses
  const unavailable =
    declared === undefined ? [] : namesIn(declared.content?.[problemMediaType]?.schema ?? {})
  return {
    "400": problems("The request is not valid", "InvalidRequest"),
    ...others,
    "500": problems("A fault of the server", "InternalFault"),
    "503": problems(
      declared?.description.replaceAll(" | ", "; or: ") ?? "The service is unavailable at the moment",
      ...new Set([...unavailable, "Unavailable"])
    ),
    default: problems("Any other problem", "NoSuchPath", "MethodNotAllowed", "Problem")
  }
}

/** The schema of a problem, with its description and an example. */
export const describeSchema = (schema: Json, name: string): Json => {
  const problem = problemExamples[name]
  return problem === undefined
    ? schema
    : { ...schema, description: problem.description, examples: [problem.value] }
}

/** The body of a problem response, with an example of each possible type. */
export const withProblemExamples = (media: Content[string]) => ({
  ...media,
  examples: Object.fromEntries(
    namesIn(media.schema).flatMap((name) => {
      const example = problemExamples[name]
      return example === undefined ? [] : [[name, { value: example.value }] as const]
    })
  )
})
