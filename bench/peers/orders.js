import { randomUUID } from "node:crypto"
import pg from "pg"

/** The peer's own table of orders: what an application beside a job queue would have. No history, no lease, no guard. */
export const createOrders = `
  CREATE TABLE orders (
    id uuid PRIMARY KEY,
    status text NOT NULL,
    payload jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    started_at timestamptz,
    updated_at timestamptz
  ) WITH (fillfactor = 70)`

export const insertOrder = {
  name: "insert-order",
  text: "INSERT INTO orders (id, status, payload) VALUES ($1, 'PENDING', $2)"
}

// Time-ordered like the platform's ids; random ids would make a large index slower.
const newIdInSql =
  "(lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0') || '7' || substr(md5(random()::text), 1, 3) || 'a' || substr(md5(random()::text), 1, 15))::uuid"

export const insertBacklog = `INSERT INTO orders (id, status, payload) SELECT ${newIdInSql}, 'PENDING', '{"item": "book"}' FROM generate_series(1, $1) RETURNING id`

const startOrders = {
  name: "start-orders",
  text: "UPDATE orders SET status = 'PROCESSING', started_at = clock_timestamp(), updated_at = clock_timestamp() WHERE id = ANY ($1::uuid[])"
}
const finishOrders = {
  name: "finish-orders",
  text: "UPDATE orders SET status = 'PROCESSED', updated_at = clock_timestamp() WHERE id = ANY ($1::uuid[])"
}

/** A UUID of version 7. */
export const newId = () => {
  const time = Date.now().toString(16).padStart(12, "0")
  return `${time.slice(0, 8)}-${time.slice(8)}-7${randomUUID().slice(15)}`
}

export const connect = (max, options = {}) => {
  const pool = new pg.Pool({ connectionString: process.env["DATABASE_URL"], max, ...options })
  pool.on("error", (error) => console.error(error.message))
  return pool
}

/** The job: PROCESSING, no work, PROCESSED, for a batch of orders in two statements. */
export const processOrders = async (pool, ids) => {
  await pool.query({ ...startOrders, values: [ids] })
  await pool.query({ ...finishOrders, values: [ids] })
}

/**
 * Batches the calls that arrive while a batch is running. With a queue that delivers one job at a time, many orders
 * then share one pair of updates; its users would not usually write this.
 */
export const batched = (work) => {
  let waiting = []
  let running = false
  const run = async () => {
    running = true
    while (waiting.length > 0) {
      const batch = waiting
      waiting = []
      await work(batch.map(({ id }) => id)).then(
        () => batch.forEach(({ resolve }) => resolve()),
        (error) => batch.forEach(({ reject }) => reject(error))
      )
    }
    running = false
  }
  return (id) =>
    new Promise((resolve, reject) => {
      waiting.push({ id, resolve, reject })
      if (!running) void run()
    })
}
