import { Logger, makeWorkerUtils, run } from "graphile-worker"
import { serve } from "./intake.js"
import { batched, connect, createOrders, insertBacklog, newId, processOrders } from "./orders.js"

// graphile-worker with the settings of its own performance page: 24 concurrent jobs, a pool of 25, a local queue of
// 500, completions batched without delay; LISTEN/NOTIFY is built in. One statement stores the row and the job through
// its SQL function. Its handler gets one job at a time; the two updates are batched here.
const pool = connect(25)
const logger = new Logger(() => (level, message) => {
  if (level === "error") console.error(message)
})

const insertOrderAndJob = {
  name: "insert-order-and-job",
  text: `WITH stored AS (INSERT INTO orders (id, status, payload) VALUES ($1, 'PENDING', $2))
    SELECT FROM graphile_worker.add_job('process', json_build_object('id', $1::uuid))`
}

if (process.argv[2] === "prepare") {
  const utils = await makeWorkerUtils({ pgPool: pool, logger })
  await utils.migrate()
  await pool.query(createOrders)
  const { rows } = await pool.query(insertBacklog, [Number(process.argv[3])])
  for (let from = 0; from < rows.length; from += 5000)
    await utils.addJobs(
      rows.slice(from, from + 5000).map(({ id }) => ({ identifier: "process", payload: { id } }))
    )
  await utils.release()
  await pool.end()
} else {
  const processOne = batched((ids) => processOrders(pool, ids))
  await run({
    preset: {
      worker: {
        connectionString: process.env["DATABASE_URL"],
        concurrentJobs: 24,
        maxPoolSize: 25,
        localQueue: { size: 500 },
        completeJobBatchDelay: 0,
        failJobBatchDelay: 0,
        logger
      }
    },
    noHandleSignals: true,
    taskList: { process: ({ id }) => processOne(id) }
  })
  await serve(async (payload) => {
    const id = newId()
    await pool.query({ ...insertOrderAndJob, values: [id, payload] })
    return id
  })
}
