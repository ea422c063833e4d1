import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import { Unavailable } from "./Problems.ts"

/** Whether the process serves, and whether it should get requests. */
export const HealthApi = HttpApiGroup.make("health")
  .add(
    HttpApiEndpoint.get("live", "/health/live", {
      success: Schema.Struct({ status: Schema.Literal("up") })
    }).annotateMerge(OpenApi.annotations({ summary: "Is the process alive" })),
    HttpApiEndpoint.get("ready", "/health/ready", {
      success: Schema.Struct({ status: Schema.Literal("ready") }),
      error: Unavailable
    }).annotateMerge(
      OpenApi.annotations({
        summary: "Should the process get requests",
        description: "503 with the reason while the database is away or the process drains."
      })
    )
  )
  .annotateMerge(
    OpenApi.annotations({ title: "Health", description: "For load balancers and orchestrators." })
  )
