import { Schema } from "effect"
import { HttpServerResponse } from "effect/http"
import { problemMediaType, type ProblemError, Problems, retryAfterOf } from "../../../contract/Problems.ts"

const encode = Schema.encodeSync(Schema.Union(Object.values(Problems)))

/**
 * The response for an error outside of HttpApi's handlers. HttpApi's handlers encode their errors with the
 * same `Problems`.
 */
export const problemResponse = (error: ProblemError): HttpServerResponse.HttpServerResponse => {
  const body = encode(error)
  const { "retry-after": seconds } = retryAfterOf(error)
  return HttpServerResponse.jsonUnsafe(body, {
    status: body.status,
    contentType: problemMediaType,
    ...(seconds !== undefined && { headers: { "retry-after": String(seconds) } })
  })
}
