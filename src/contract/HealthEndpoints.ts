import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { AcceptableAnswers, OperatorsOnly } from "./Middleware.ts"
import { Problems, temporary } from "./Problems.ts"

/** Liveness, readiness and metrics of a process. */
export const HealthApi = HttpApiGroup.make("health")
  .add(
    HttpApiEndpoint.get("live", "/health/live", {
      success: Schema.Struct({ status: Schema.Literal("up") })
    }).annotateMerge(OpenApi.annotations({ summary: "Whether the process is alive" })),
    HttpApiEndpoint.get("ready", "/health/ready", {
      success: Schema.Struct({ status: Schema.Literal("ready") }),
      error: temporary(Problems.Unavailable)
    }).annotateMerge(
      OpenApi.annotations({
        summary: "Whether the process should receive requests",
        description: "503 with the reason while the database is unavailable or the process is draining."
      })
    ),
    HttpApiEndpoint.get("metrics", "/metrics", {
      success: Schema.String.pipe(
        HttpApiSchema.asText({ contentType: "text/plain; version=0.0.4; charset=utf-8" })
      )
    })
      .middleware(AcceptableAnswers)
      .middleware(OperatorsOnly)
      .annotateMerge(OpenApi.annotations({ summary: "Metrics in Prometheus text format" }))
  )
  .annotateMerge(
    OpenApi.annotations({ title: "Health", description: "For load balancers and orchestrators." })
  )
