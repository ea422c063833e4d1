import { PgBoss } from "pg-boss"
import { serve } from "./intake.js"
import { connect, createOrders, insertBacklog, insertOrder, newId, processOrders } from "./orders.js"

// pg-boss. NOTIFY=on wakes its workers by LISTEN/NOTIFY, else they poll at the shortest interval it allows. It fetches
// jobs in batches without a pause while batches are full (`burstWhenBatchFull`). Row and job commit in one transaction
// by the documented `db` option, pipelined by `pg` in one round trip. Everything else is its default.
const notify = process.env["NOTIFY"] === "on"
const queue = "orders"
const pool = connect(20, { pipeline: true })
const boss = new PgBoss({ connectionString: process.env["DATABASE_URL"], max: 10, useListenNotify: notify })
boss.on("error", (error) => console.error(error.message))
await boss.start()

const prepare = async (backlog) => {
  await pool.query(createOrders)
  await boss.createQueue(queue, { notify })
  const { rows } = await pool.query(insertBacklog, [backlog])
  for (let from = 0; from < rows.length; from += 5000)
    await boss.insert(
      queue,
      rows.slice(from, from + 5000).map(({ id }) => ({ data: { id } }))
    )
}

const store = async (payload) => {
  const id = newId()
  const client = await pool.connect()
  const sent = []
  const query = (...statement) => {
    const result = client.query(...statement)
    sent.push(result)
    return result
  }
  const db = {
    executeSql: (text, values) => {
      const result = query(text, values)
      void query("COMMIT")
      return result
    }
  }
  try {
    void query("BEGIN")
    void query({ ...insertOrder, values: [id, payload] })
    await boss.send(queue, { id }, { db })
    await Promise.all(sent)
    client.release()
    return id
  } catch (error) {
    await Promise.allSettled(sent)
    client.release(true)
    throw error
  }
}

if (process.argv[2] === "prepare") {
  await prepare(Number(process.argv[3]))
  await boss.stop()
  await pool.end()
} else {
  await boss.work(
    queue,
    { batchSize: 500, localConcurrency: 2, pollingIntervalSeconds: 0.5, burstWhenBatchFull: true },
    (jobs) =>
      processOrders(
        pool,
        jobs.map(({ data }) => data.id)
      )
  )
  await serve(store)
}
