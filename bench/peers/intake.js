import Fastify from "fastify"

// POST /orders of every peer: the same body, validated by a compiled schema, and the same 202. Fastify in its fastest
// documented form: no logger, and compiled schemas for requests and responses.
const schema = {
  body: { type: "object", required: ["payload"], properties: { payload: { type: "object" } } },
  response: { 202: { type: "object", properties: { orderId: { type: "string" } } } }
}

/** Serves POST /orders on PORT; `store` resolves to the id of the order after the commit. */
export const serve = async (store) => {
  const app = Fastify({ logger: false })
  app.get("/health/ready", () => ({ status: "ready" }))
  app.post("/orders", { schema }, async (request, reply) => {
    const orderId = await store(request.body.payload)
    reply.code(202).header("location", `/orders/${orderId}`)
    return { orderId }
  })
  await app.listen({ host: "127.0.0.1", port: Number(process.env["PORT"]) })
}
