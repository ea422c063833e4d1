import * as fs from "node:fs"
import type { Sql } from "../chaos/Sql.ts"

/** What has been used so far: microseconds of CPU time, and bytes of WAL. NaN is unknown. */
export interface Usage {
  readonly node: number
  readonly postgres: number
  readonly wal: number
}

interface Server {
  readonly postmaster: number
  /** The sessions of the benchmark itself, by process id. */
  readonly own: ReadonlyArray<number>
  readonly wal: number
}

// chaos/Sql.ts sets this application_name.
const server = `
  SELECT split_part(pg_read_file('postmaster.pid'), E'\\n', 1)::int AS postmaster,
    ARRAY(SELECT pid FROM pg_stat_activity WHERE application_name = 'chaos') AS own,
    pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8 AS wal`

/** Linux shows CPU times in hundredths of a second. */
const microsPerTick = 10_000

const readProcess = (pid: string) => {
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, "utf8")
    // The name of the program may contain anything, also spaces and brackets.
    const fields = stat
      .slice(stat.lastIndexOf(")") + 2)
      .split(" ")
      .map(Number)
    // Its own user and system time, and those of its children that have ended.
    const ticks = fields.slice(11, 15).reduce((sum, value) => sum + value, 0)
    return [{ pid: Number(pid), parent: fields[1], ticks }]
  } catch {
    return [] // It has just ended.
  }
}

/** A process that has ended counts by its parent, so that the sum over a tree loses none. */
const ticksOf = (
  all: ReturnType<typeof readProcess>,
  pid: number,
  without: ReadonlyArray<number> = []
): number =>
  all
    .filter((process) => process.parent === pid && !without.includes(process.pid))
    .reduce(
      (sum, child) => sum + ticksOf(all, child.pid),
      all.find((process) => process.pid === pid)?.ticks ?? NaN
    )

/** The usage of a contender's processes and of all of PostgreSQL but the benchmark's sessions; Linux knows the CPU time. */
export const usageOf = async (pid: number, sql: Sql): Promise<Usage> => {
  const [row] = await sql.query<Server>(server)
  if (row === undefined) throw new Error("PostgreSQL does not tell its usage.")
  const names = process.platform === "linux" ? fs.readdirSync("/proc") : []
  const all = names.filter((name) => /^\d+$/.test(name)).flatMap(readProcess)
  return {
    node: ticksOf(all, pid) * microsPerTick,
    postgres: ticksOf(all, row.postmaster, row.own) * microsPerTick,
    wal: row.wal
  }
}

/** CPU in microseconds, in all and by processes, and WAL in bytes, all for one order. */
export type Costs = Partial<Record<`${Phase}${Cost}`, number>>
export type Phase = "accept" | "drain"
export type Cost = "Cpu" | "CpuNode" | "CpuPostgres" | "Wal"

/** What was used between two moments, for each order. */
export const costs = (phase: Phase, from: Usage, to: Usage, orders: number): Costs => {
  const used = (what: keyof Usage) => (to[what] - from[what]) / orders
  const [node, postgres] = [used("node"), used("postgres")]
  return {
    [`${phase}Cpu`]: node + postgres,
    [`${phase}CpuNode`]: node,
    [`${phase}CpuPostgres`]: postgres,
    [`${phase}Wal`]: used("wal")
  }
}
