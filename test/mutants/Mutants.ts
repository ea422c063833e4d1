/** A known fault of such systems, made by replacing text, and the tests that must fail. */
export interface Mutant {
  readonly name: string
  readonly file: string
  /** An import that the replacement needs and the file does not have. */
  readonly imports?: string
  readonly find: string
  readonly replace: string
  /** Test files of which at least one must fail. */
  readonly tests: ReadonlyArray<string>
  /** Whether the simulation must find it too: for faults that need no SQL. */
  readonly simulation: boolean
}

const insertBatcher = "src/application/intake/InsertBatcher.ts"
const postgres = "src/infrastructure/postgres"
const memory = "src/infrastructure/memory"
const memoryWork = `${memory}/work/MemoryWorkStore.ts`
const settleFunction = `${postgres}/functions/SettleOrders.ts`
const guards = "migrations/0001/guards.ts"
const repositoryOnMemory = "test/infrastructure/memory/Memory.test.ts"
const repositoryOnPostgres = "test/infrastructure/postgres/PostgresStores.test.ts"
const oneTransaction = "test/infrastructure/postgres/OneTransaction.test.ts"

/** Every mutant; the table in docs/mutants.md is made from this list. */
export const mutants: ReadonlyArray<Mutant> = [
  {
    name: "announcement before the commit",
    file: insertBatcher,
    find: "const keyed = batch.flatMap((call) => call.keyed ?? [])",
    replace:
      "yield* announce(batch.flatMap(({ orders }) => orders))\n      const keyed = batch.flatMap((call) => call.keyed ?? [])",
    tests: ["test/application/intake/InsertBatcher.test.ts"],
    simulation: true
  },
  {
    name: "announcement before the commit of the caller's transaction",
    file: insertBatcher,
    find: "yield* store.afterCommit(announce(",
    replace: "yield* Effect.andThen(Effect.void, announce(",
    tests: ["test/infrastructure/postgres/work/Writes.test.ts"],
    simulation: false
  },
  {
    name: "event written after the commit (SQL)",
    file: `${postgres}/intake/SubmitOrders.ts`,
    imports: 'import { Effect } from "effect"',
    find: "sql`WITH ${orders(batch, sql``)} ${events}`",
    replace:
      "sql`WITH ${orders(batch, sql``)} SELECT id FROM submitted`.pipe(Effect.tap(() => sql`INSERT INTO ${tablesOf(sql, schema).orderEvents} (order_id, version, event, to_status, at, attempt) SELECT id, 1, 'created', 'PENDING', created_at, 1 FROM ${tablesOf(sql, schema).orders} WHERE id = ANY (${uuids(batch.map(({ id }) => id))}::uuid[])`))",
    tests: [oneTransaction],
    simulation: false
  },
  {
    name: "event written after the commit (memory)",
    file: memoryWork,
    find: "store(settle(stored.order, outcome, at))",
    replace:
      "const settled = settle(stored.order, outcome, at)\n    store(settled)\n    ;(orders as Map<unknown, unknown>).set(id, { order: settled.order, events: stored.events })",
    tests: [repositoryOnMemory],
    simulation: true
  },
  {
    name: "settle without the version check (SQL)",
    file: settleFunction,
    find: "WHERE o.id = outcome.id AND o.version = outcome.version AND o.worker = outcome.worker",
    replace: "WHERE o.id = outcome.id AND o.worker = outcome.worker",
    tests: [repositoryOnPostgres],
    simulation: false
  },
  {
    name: "settle without the version check (memory)",
    file: memoryWork,
    find: 'if (stored?.order.status === "PROCESSING" && stored.order.version === version) {',
    replace: 'if (stored?.order.status === "PROCESSING") {',
    tests: [repositoryOnMemory],
    simulation: true
  },
  {
    name: "lease taken from the worker's clock",
    file: `${postgres}/work/RenewLeases.ts`,
    find: "const until = sql`${now} + ${Duration.toMillis(lease)}::float8 * interval '1 millisecond'`",
    replace: "const until = sql`${new Date(Date.now() + Duration.toMillis(lease))}::timestamptz`",
    tests: [oneTransaction],
    simulation: false
  },
  {
    name: "expire by age instead of lease (SQL)",
    file: `${postgres}/functions/ExpireLeases.ts`,
    find: "WHERE w.lease_until <= moment",
    replace: "WHERE w.seen_at <= moment - interval '30 seconds'",
    tests: [repositoryOnPostgres],
    simulation: false
  },
  {
    name: "expire by age instead of lease (memory)",
    file: `${memory}/work/WorkerRegistry.ts`,
    find: "const hasEnded = ({ leaseUntil }: Registered, at: DateTime.Utc) =>\n  DateTime.isLessThanOrEqualTo(leaseUntil, at)",
    replace:
      "const hasEnded = ({ worker }: Registered, at: DateTime.Utc) =>\n  DateTime.isLessThanOrEqualTo(DateTime.add(worker.seenAt, { seconds: 3 }), at)",
    tests: [repositoryOnMemory],
    simulation: true
  },
  {
    name: "DLQ entry in a second transaction",
    file: `${postgres}/functions/EndedAttempts.ts`,
    find: "FROM ${ended} WHERE status = 'FAILED' AND discarded_at IS NULL",
    replace: "FROM ${ended} WHERE status = 'later' AND discarded_at IS NULL",
    tests: [repositoryOnPostgres],
    simulation: false
  },
  {
    name: "DLQ entry forgotten when the last lease runs out (memory)",
    file: `${memory}/MemoryOrders.ts`,
    find: "if (deadLetter === null) deadLetters.delete(order.id)",
    replace:
      'if (deadLetter === null || deadLetter.reasonCode === "WORKER_LOST") deadLetters.delete(order.id)',
    tests: [repositoryOnMemory],
    simulation: true
  },
  {
    name: "reprocess without the status check (SQL)",
    file: `${postgres}/dead-letters/ReprocessOrder.ts`,
    find: "WHERE id = ${id}::uuid AND status = 'FAILED' AND discarded_at IS NULL\n        AND version = coalesce(${ifVersion}::int, version)\n      RETURNING *\n    ), history AS (\n      INSERT INTO ${orderEvents} (order_id, version, event, from_status, to_status, at, attempt)\n      SELECT id, version, 'reprocessed'",
    replace:
      "WHERE id = ${id}::uuid AND version = coalesce(${ifVersion}::int, version)\n      RETURNING *\n    ), history AS (\n      INSERT INTO ${orderEvents} (order_id, version, event, from_status, to_status, at, attempt)\n      SELECT id, version, 'reprocessed'",
    tests: [repositoryOnPostgres],
    simulation: false
  },
  {
    name: "reprocess without the status check (memory)",
    file: `${memory}/dead-letters/MemoryDeadLetterStore.ts`,
    find: 'if (order.status !== "FAILED" || order.discardedAt !== null)',
    replace: 'if (order.status === "PROCESSED")',
    tests: [repositoryOnMemory],
    simulation: true
  },
  {
    name: "shutdown that counts an attempt",
    file: "src/application/work/RunAttempt.ts",
    find: 'outcome: { event: "released", detail: `worker ${settings.name} was stopped` }',
    replace:
      'outcome: { event: "retried", delay: settings.pollInterval, failure: { reasonCode: "DEFECT", reason: "stopped" } }',
    tests: ["test/application/work/OrderWorker.test.ts"],
    simulation: true
  },
  {
    name: "idempotency key taken in another transaction than its order",
    file: `${postgres}/intake/SubmitKeyedOrders.ts`,
    find: "const taken = new Set((yield* take(orders, asked, isInTransaction)).map(({ requestId }) => requestId))",
    replace:
      "const taken = new Set((yield* take([], asked.map((each) => ({ ...each, orders: [] })), isInTransaction)).map(({ requestId }) => requestId))\n    yield* take([...orders, ...asked.filter(({ requestId }) => taken.has(requestId)).flatMap((each) => each.orders)], [], isInTransaction)",
    tests: [oneTransaction],
    simulation: false
  },
  {
    name: "retention that deletes by age whatever the status (SQL)",
    file: `${postgres}/upkeep/DeleteOldOrders.ts`,
    find: "AND f.status = ${sql.literal(`'${status}'`)}",
    replace: "AND ${sql.literal(`'${status}'`)} <> ''",
    tests: [repositoryOnPostgres],
    simulation: false
  },
  {
    name: "retention that deletes by age whatever the status (memory)",
    file: `${memory}/upkeep/MemoryUpkeepStore.ts`,
    find: "inStatus(status)",
    replace: '(["PENDING", "PROCESSING", "PROCESSED", "FAILED"] as const).flatMap((each) => inStatus(each))',
    tests: [repositoryOnMemory],
    simulation: false
  },
  {
    name: "a poison row that fails its batch mates",
    file: insertBatcher,
    find: "if (Exit.isFailure(exit) && isOfOneOrder(exit.cause) && batch.length > 1)",
    replace: "if (Exit.isFailure(exit) && isOfOneOrder(exit.cause) && batch.length > 1_000_000)",
    tests: ["test/application/intake/InsertBatcher.test.ts"],
    simulation: true
  },
  {
    name: "retry delay restarted from zero after a crash",
    file: "src/application/work/AttemptOutcome.ts",
    find: "yield* delayAfter(retryPolicy, attemptOf(order), yield* Random.next)",
    replace: "yield* delayAfter(retryPolicy, 1, yield* Random.next)",
    tests: ["test/application/work/OrderWorker.test.ts"],
    simulation: true
  },
  {
    name: "a lost claim's orders are charged",
    file: "src/application/work/RenewLeases.ts",
    find: "yield* Effect.timeoutOption(releaseOrders(lost, state), claimTimeout(settings))",
    replace: "yield* Effect.timeoutOption(releaseOrders([], state), claimTimeout(settings))",
    tests: ["test/application/work/WorkerId.test.ts"],
    simulation: true
  },
  {
    name: "an order released while its claim is under way",
    file: "src/application/work/ReleaseOrders.ts",
    find: "if (!isClaiming) return unknown",
    replace: "if (claims > 0) return unknown",
    tests: ["test/application/work/WorkerId.test.ts"],
    simulation: true
  },
  {
    name: "a cancelled attempt that is not interrupted",
    file: "src/application/work/CancelAttempts.ts",
    find: "if (ids.has(attempt.order.id) && isRunning(attempt)) interruptAttempt",
    replace: "if (ids.has(attempt.order.id) && !isRunning(attempt)) interruptAttempt",
    tests: ["test/application/work/CancelAttempts.test.ts"],
    simulation: false
  },
  {
    name: "a late answer about cancels that cancels a later attempt",
    file: "src/application/work/CancelAttempts.ts",
    find: "for (const attempt of running)",
    replace: "for (const attempt of attempts.all())",
    tests: ["test/application/work/CancelAttempts.test.ts"],
    simulation: false
  },
  {
    name: "a freed ordering key or group that is not announced",
    file: "src/application/work/AnnounceRoom.ts",
    find: "  state.announceNow.send()",
    replace: "  state.freed = 0",
    tests: ["test/application/work/TypesAndGroups.test.ts"],
    simulation: false
  },
  {
    name: "a free slot of a type that wakes no claim",
    file: "src/application/work/WorkerState.ts",
    find: "if (typeState.running-- === typeState.concurrency) claimNow.send()",
    replace: "typeState.running--; void claimNow",
    tests: ["test/application/work/TypesAndGroups.test.ts"],
    simulation: false
  },
  {
    name: "an edge that the database does not refuse",
    file: guards,
    find: "IF edge NOT IN ('PENDING -> PROCESSING',",
    replace: "IF edge NOT IN ('PROCESSED -> PENDING', 'PENDING -> PROCESSING',",
    tests: ["test/infrastructure/postgres/Guard.test.ts"],
    simulation: false
  }
]
