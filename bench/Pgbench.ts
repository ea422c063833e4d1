import * as fs from "node:fs/promises"
import * as path from "node:path"
import { run } from "./Children.ts"
import type { Contender } from "./Contenders.ts"
import type { Databases } from "./Databases.ts"
import { idAt } from "./Tables.ts"

// The upper limit: what this PostgreSQL achieves with the platform's tables, guards and claim by plain SQL, in prepared
// batches of 100 over two connections, with a settle that only completes.

const batch = 100
const clients = 2

const insert = `
WITH stored AS (
  INSERT INTO orders (id, status, version, payload, payload_version, priority, max_retries, metadata, correlation_id, type, ordering_key, group_name, due_at, created_at, updated_at)
  SELECT ${idAt("clock_timestamp()")}, 'PENDING', 1, '{"item": "book", "quantity": 1}'::jsonb, 1, 0, 3, '{}'::jsonb, 'bench', 'default', '', '', order_platform_now(), order_platform_now(), order_platform_now()
  FROM generate_series(1, ${batch})
  RETURNING id, created_at
), due AS (
  INSERT INTO order_due (priority, group_name, type, due_at, order_id, is_retry)
  SELECT 0, '', 'default', created_at, id, false FROM stored
)
INSERT INTO order_events (order_id, version, event, to_status, at, attempt)
SELECT id, 1, 'created', 'PENDING', created_at, 1 FROM stored;
`

const claimAndSettle = `
SELECT coalesce(array_agg(id) FILTER (WHERE info IS NULL)::text, '{}') AS ids
FROM order_platform_claim_v1('bench', interval '30 seconds', ${batch}, NULL, NULL, NULL, NULL, NULL, NULL) \\gset
WITH settled AS (
  UPDATE orders AS o SET status = 'PROCESSED', version = o.version + 1, due_at = NULL, worker = NULL, updated_at = order_platform_now()
  FROM unnest(:ids::uuid[]) AS finished (id)
  WHERE o.id = finished.id AND o.status = 'PROCESSING'
  RETURNING o.id, o.version, o.created_at, o.updated_at
), no_longer_running AS (
  DELETE FROM order_running r USING settled s WHERE r.worker = 'bench' AND r.order_id = s.id
), final AS (
  INSERT INTO order_final (status, created_at, order_id, final_at) SELECT 'PROCESSED', created_at, id, updated_at FROM settled
)
INSERT INTO order_events (order_id, version, event, from_status, to_status, at, attempt, worker)
SELECT id, version, 'completed', 'PROCESSING', 'PROCESSED', updated_at, 1, 'bench' FROM settled;
`

export interface LimitFigures {
  readonly insertPerSecond: number
  readonly lifePerSecond: number
}

/** The newest pgbench of Debian, else the one on the PATH, else null. */
export const findPgbench = async (directory: string): Promise<string | null> => {
  const versions = await fs.readdir("/usr/lib/postgresql").catch(() => [])
  const newest = versions.toSorted((a, b) => Number(b) - Number(a))
  for (const program of [
    ...newest.map((version) => `/usr/lib/postgresql/${version}/bin/pgbench`),
    "pgbench"
  ]) {
    const found = await run({ command: [program, "--version"], directory }, 10_000).catch(() => null)
    if (found !== null) return program
  }
  return null
}

/** Orders per second of pgbench: inserts alone, and inserts with claim and settle. */
export const limit = async (
  pgbench: string,
  seconds: number,
  product: Contender,
  databases: Databases,
  directory: string
): Promise<LimitFigures> => {
  const ordersPerSecond = async (name: string, script: string) => {
    const file = path.join(directory, `${name}.sql`)
    await fs.writeFile(file, script)
    const database = await databases.create("bench_limit")
    try {
      await product.prepare(database, 0, directory)
      const options = ["-n", "-M", "prepared", "-c", `${clients}`, "-j", "1", "-T", `${seconds}`, "-f", file]
      // A plan made for the empty table would scan the whole table during the entire run. The check for changes by hand
      // is switched off, because these statements update the side tables themselves.
      const env = { PGOPTIONS: "-c enable_seqscan=off -c order_platform.own_change=on" }
      const command = [pgbench, ...options, database]
      const output = await run({ command, env, directory }, seconds * 1000 + 30_000)
      return Number(/tps = ([\d.]+)/.exec(output)?.[1] ?? NaN) * batch
    } finally {
      await databases.drop("bench_limit")
    }
  }
  return {
    insertPerSecond: await ordersPerSecond("insert", insert),
    lifePerSecond: await ordersPerSecond("life", insert + claimAndSettle)
  }
}
