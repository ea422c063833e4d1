import { exampleOfRequest, examplesOfAnswers, exampleStream } from "./OpenApiExamples.ts"
import { type ExampleOrder, exampleOrderIn, withOneOfTypes } from "./OpenApiOrders.ts"
import { headerName, withHeaderNames, withPlainNames } from "./OpenApiNames.ts"
import { type Content, mapValues, type OpenApiParts, type Operation } from "./OpenApiParts.ts"
import { problemMediaType } from "../Problems.ts"
import {
  commonProblems,
  describeSchema,
  problemSchema,
  withCommonProblems,
  withProblemExamples
} from "./OpenApiProblems.ts"

const streamType = "text/event-stream"

const correlationId = {
  type: "string",
  pattern: "^[\\x20-\\x7E]{1,128}$",
  description: "Identifies a request and its order in every log line about them."
}

const requestHeader = {
  name: "X-Correlation-Id",
  in: "header",
  required: false,
  description: "Generated if absent; 400 if it is not 1 to 128 printable ASCII characters.",
  schema: correlationId
}

/** Adds examples: one for each type of problem, or the example of the operation. */
const withExamples = (content: Content, operationId: string): Content =>
  mapValues(content, (media, type) => {
    if (type === streamType) return exampleStream
    return type === problemMediaType
      ? withProblemExamples(media)
      : { ...media, ...examplesOfAnswers[operationId] }
  })

const describeOperation = (operation: Operation, order: ExampleOrder) => ({
  ...operation,
  parameters: [
    ...(operation.parameters ?? []).map((parameter) =>
      parameter.in === "header" ? { ...parameter, name: headerName(parameter.name) } : parameter
    ),
    { $ref: "#/components/parameters/CorrelationId" }
  ],
  ...(operation.requestBody && {
    requestBody: {
      ...operation.requestBody,
      content: mapValues(operation.requestBody.content, (media) => ({
        ...media,
        ...exampleOfRequest(operation.operationId, order)
      }))
    }
  }),
  responses: mapValues(withCommonProblems(operation.responses), (response, status) => ({
    ...response,
    ...(response.content && { content: withExamples(response.content, operation.operationId) }),
    headers: {
      ...withHeaderNames(response.headers),
      "X-Correlation-Id": { $ref: "#/components/headers/CorrelationId" },
      ...(status === "401" ? { "WWW-Authenticate": { $ref: "#/components/headers/WwwAuthenticate" } } : {}),
      ...(status === "429" || status === "503"
        ? { "Retry-After": { $ref: "#/components/headers/RetryAfter" } }
        : {}),
      ...(status === "default" ? { Allow: { $ref: "#/components/headers/Allow" } } : {})
    }
  }))
})

/**
 * Completes the document that Effect derives from the endpoints. Adds what every operation has and no
 * endpoint declares (the correlation id and the problems of the server), the examples, and the wire format of
 * the event stream.
 */
export const describeEveryAnswer = (spec: Record<string, unknown>): Record<string, unknown> => {
  const given = spec as unknown as OpenApiParts
  const { components, info, paths } = withPlainNames({
    ...given,
    components: { ...given.components, schemas: { ...given.components.schemas, ...commonProblems } }
  })
  const schemas = withOneOfTypes(mapValues(components.schemas, describeSchema))
  const order = exampleOrderIn(schemas)
  return {
    ...spec,
    info: { ...info, license: { name: "MIT", identifier: "MIT" } },
    servers: [{ url: "/", description: "The server that serves this document." }],
    paths: mapValues(paths, (operations) =>
      mapValues(operations, (operation) => describeOperation(operation, order))
    ),
    components: {
      ...components,
      schemas: { ...schemas, Problem: problemSchema },
      parameters: { CorrelationId: requestHeader },
      headers: {
        Allow: { description: "With a 405: the methods that the path supports.", schema: { type: "string" } },
        CorrelationId: { description: correlationId.description, schema: correlationId },
        WwwAuthenticate: { description: "The authentication scheme to use.", schema: { const: "Bearer" } },
        RetryAfter: { description: "Seconds to wait before the next request.", schema: { type: "integer" } }
      }
    }
  }
}
