/** The parts of an OpenAPI document that are looked at here. */
interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly components: Readonly<Record<string, unknown>>
}
interface Operation {
  readonly parameters?: ReadonlyArray<unknown>
  readonly responses: Readonly<Record<string, Response>>
}
interface Response {
  readonly description: string
  readonly headers?: Readonly<Record<string, unknown>>
}

const correlationId = {
  type: "string",
  pattern: "^[\\x20-\\x7E]{1,128}$",
  description: "Ties a request, its order, and every log line about them together."
}

const requestHeader = {
  name: "X-Correlation-Id",
  in: "header",
  required: false,
  description: "Taken if given, else made; 400 if it is not 1 to 128 printable ASCII characters.",
  schema: correlationId
}

const problem = {
  description: "Any other error",
  content: { "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } } }
}

const problemSchema = {
  type: "object",
  required: ["type", "title", "status", "detail"],
  properties: {
    type: { type: "string", format: "uri" },
    title: { type: "string" },
    status: { type: "integer" },
    detail: { type: "string" }
  }
}

const mapValues = <A, B>(
  record: Readonly<Record<string, A>>,
  f: (value: A, key: string) => B
): Record<string, B> => Object.fromEntries(Object.entries(record).map(([key, value]) => [key, f(value, key)]))

const describeOperation = (operation: Operation) => ({
  ...operation,
  parameters: [...(operation.parameters ?? []), { $ref: "#/components/parameters/CorrelationId" }],
  responses: mapValues({ ...operation.responses, default: problem }, (response: Response, status) => ({
    ...response,
    headers: {
      ...response.headers,
      "X-Correlation-Id": { $ref: "#/components/headers/CorrelationId" },
      ...(status === "401" ? { "WWW-Authenticate": { $ref: "#/components/headers/WwwAuthenticate" } } : {}),
      ...(status === "503" ? { "Retry-After": { $ref: "#/components/headers/RetryAfter" } } : {})
    }
  }))
})

/** Adds to the document what holds for every request and is said in no endpoint: correlation id, other problems. */
export const describeEveryAnswer = (spec: Record<string, unknown>): Record<string, unknown> => {
  const { components, paths } = spec as unknown as Document
  return {
    ...spec,
    paths: mapValues(paths, (operations) => mapValues(operations, describeOperation)),
    components: {
      ...components,
      schemas: { ...(components["schemas"] as object), Problem: problemSchema },
      parameters: { CorrelationId: requestHeader },
      headers: {
        CorrelationId: { description: correlationId.description, schema: correlationId },
        WwwAuthenticate: { description: "How to show who you are.", schema: { const: "Bearer" } },
        RetryAfter: { description: "Seconds to wait before the next try.", schema: { type: "integer" } }
      }
    }
  }
}
