import * as fs from "node:fs/promises"
import * as path from "node:path"
import * as prettier from "prettier"
import { root } from "./Children.ts"
import type { Contender } from "./Contenders.ts"
import { bulks, connections } from "./Load.ts"
import type { Machine } from "./Machine.ts"
import { type Outcome, over } from "./Outcome.ts"
import { figure, median, spreadOf, withSpread } from "./Statistics.ts"
import { targets } from "./Targets.ts"

const table = (rows: ReadonlyArray<ReadonlyArray<string>>) => {
  const [head = [], ...rest] = rows
  return [head, head.map(() => "---"), ...rest].map((cells) => `| ${cells.join(" | ")} |`).join("\n")
}

const figuresOf = (outcome: Outcome, contender: Contender) => {
  const { rssIdle, statementsPerMinute } = outcome.idle.get(contender.name) ?? {}
  return [
    contender.name,
    withSpread(over(outcome, contender, "acceptedPerSecond")),
    `${withSpread(over(outcome, contender, "acceptP50"))} / ${withSpread(over(outcome, contender, "acceptP99"))}`,
    withSpread(over(outcome, contender, "endToEndPerSecond")),
    withSpread(over(outcome, contender, "drainPerSecond")),
    `${withSpread(over(outcome, contender, "pickUpP50"))} / ${withSpread(over(outcome, contender, "pickUpP99"))}`,
    `${figure(rssIdle ?? NaN)} / ${withSpread(over(outcome, contender, "rssLoaded"))}`,
    figure(statementsPerMinute ?? NaN)
  ]
}

const costFigures = [
  "acceptCpu",
  "acceptCpuNode",
  "acceptCpuPostgres",
  "acceptWal",
  "drainCpu",
  "drainCpuNode",
  "drainCpuPostgres",
  "drainWal",
  "bulkPerSecond"
] as const

const measured = (outcome: Outcome) =>
  table([
    [
      "",
      `accepted/s, ${connections} connections`,
      "p50 / p99 ms",
      "end to end/s",
      `drain of ${figure(outcome.plan.backlog)}, orders/s`,
      "pick-up p50 / p99 ms",
      "RSS idle / loaded MB",
      "statements/idle minute"
    ],
    ...outcome.contenders.map((contender) => figuresOf(outcome, contender))
  ])

const costs = (outcome: Outcome) =>
  table([
    [
      "",
      "accept: CPU µs/order",
      "Node",
      "PostgreSQL",
      "WAL B/order",
      "drain: CPU µs/order",
      "Node",
      "PostgreSQL",
      "WAL B/order",
      `bulks of ${bulks.bulk}, ${bulks.connections} connections, orders/s`
    ],
    ...outcome.contenders.map((contender) => [
      contender.name,
      ...costFigures.map((what) => withSpread(over(outcome, contender, what)))
    ])
  ])

/** The table of targets, for the terminal and the file. */
export const ratios = (outcome: Outcome): string =>
  table([
    ["", "target", "measured", "met"],
    ...targets(outcome).map(({ measured, met, target, what }) => [
      what,
      target,
      measured,
      met === null ? "not measured" : met ? "yes" : "**no**"
    ])
  ])

const limits = ({ limit }: Outcome) =>
  limit.length === 0
    ? "pgbench is not installed here."
    : table([
        ["pgbench, batches of 100, 2 connections, the product's tables and guards", "orders/s"],
        ["INSERT with history", withSpread(spreadOf(limit.map(({ insertPerSecond }) => insertPerSecond)))],
        [
          "whole life: insert, claim, settle",
          withSpread(spreadOf(limit.map(({ lifePerSecond }) => lifePerSecond)))
        ]
      ])

const soakSeconds = ({ soak }: Outcome) =>
  table([
    ["second", "accepted", "p99 ms", "RSS MB", "PENDING"],
    ...soak.eachSecond.map(({ backlog, rss }, index) => {
      const { accepted = NaN, p99 = NaN } = soak.load.eachSecond[index] ?? {}
      return [String(index + 1), figure(accepted), figure(p99), figure(rss), String(backlog)]
    })
  ])

const page = (
  outcome: Outcome,
  machine: Machine
) => `# Results of \`npm run bench${outcome.plan.name === "quick" ? " -- --quick" : ""}\`

${table([["", ""], ...Object.entries(machine)])}

Rounds: ${outcome.plan.rounds}, interleaved; medians, with the lowest and highest in brackets. Machines drift: only ratios within one run mean anything, and a gap under 25 % is not established.

## Targets

${ratios(outcome)}

## Figures

${measured(outcome)}

${costs(outcome)}

${limits(outcome)}

How each contender is set up, and why, is said at the top of its file in \`bench/\`; the product and the memory adapters have the heap options that the program gives itself, the others Node's defaults. Accepted/s and latency: as the load generator sees them (bare sockets, one request at a time on each connection). End to end: from the first order's creation to the last one final. Drain: from the first order started to the last one final. Pick-up: from created to started at 10 orders/s. All but the first two by the database's clock; the memory adapters' end to end by their metrics. Statements: transactions of pg_stat_database, less those of an unused database.

CPU (Linux only): user and system time of the contender's processes (Node) and of PostgreSQL's, also of those that ended meanwhile; without the load generator and the benchmark's own sessions. WAL: by pg_current_wal_insert_lsn(), with full-page images and the writes of autovacuum. Accept: both from the start of the load until its last order is final, divided by the accepted orders; Fastify + 1 INSERT only accepts. Drain: both from the first 200 of /health/ready until the backlog is final, divided by the orders that became final in that time. Bulks: orders/s accepted by POST /orders/bulk, worker on and last of all.

## Soak of ${outcome.plan.name === "quick" ? "the quick run" : "a minute"}, each second

${figure(outcome.soak.load.accepted / outcome.soak.load.seconds)} accepted/s, p50 ${figure(outcome.soak.load.p50)} ms, p99 ${figure(outcome.soak.load.p99)} ms; median of the seconds' p99 ${figure(median(outcome.soak.load.eachSecond.map(({ p99 }) => p99)))} ms.

${soakSeconds(outcome)}
`

/** Writes bench/RESULTS.md, or RESULTS.quick.md, which is not committed. */
export const writeResults = async (outcome: Outcome, machine: Machine): Promise<string> => {
  const file = path.join(root, "bench", outcome.plan.name === "quick" ? "RESULTS.quick.md" : "RESULTS.md")
  const options = await prettier.resolveConfig(file)
  await fs.writeFile(file, await prettier.format(page(outcome, machine), { ...options, filepath: file }))
  return path.relative(root, file)
}
