import { serve } from "./intake.js"
import { connect, createOrders, insertOrder, newId } from "./orders.js"

// The baseline: one INSERT per request, no queue, no worker.
const pool = connect(20)

if (process.argv[2] === "prepare") {
  await pool.query(createOrders)
  await pool.end()
} else {
  await serve(async (payload) => {
    const id = newId()
    await pool.query({ ...insertOrder, values: [id, payload] })
    return id
  })
}
