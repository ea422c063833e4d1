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
const concurrency = "test/infrastructure/postgres/work/Concurrency.test.ts"
const claimInTurn = `${postgres}/functions/ClaimInTurn.ts`
const enqueueParts = `${postgres}/client/EnqueueParts.ts`
const addDeadLetters = `${postgres}/functions/AddDeadLetters.ts`
const memoryKeys = `${memory}/work/OrderingKeys.ts`
const memoryNextDue = `${memory}/work/NextDue.ts`
const memoryLimits = `${memory}/control/GroupLimits.ts`
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
    find: "sql`${now} + ${Duration.toMillis(lease)}::float8 * interval '1 millisecond'`",
    replace: "sql`${new Date(Date.now() + Duration.toMillis(lease))}::timestamptz`",
    tests: [oneTransaction],
    simulation: false
  },
  {
    name: "expire by age instead of lease (SQL)",
    file: `${postgres}/functions/ExpireLeases.ts`,
    find: "WHERE w.lease_until <= moment",
    replace: "WHERE w.started_at <= moment - interval '30 seconds'",
    tests: [repositoryOnPostgres],
    simulation: false
  },
  {
    name: "expire by age instead of lease (memory)",
    file: `${memory}/work/WorkerRegistry.ts`,
    find: "const hasEnded = ({ leaseUntil }: Registered, at: DateTime.Utc) =>\n  DateTime.isLessThanOrEqualTo(leaseUntil, at)",
    replace:
      "const hasEnded = ({ worker }: Registered, at: DateTime.Utc) =>\n  DateTime.isLessThanOrEqualTo(DateTime.add(worker.startedAt, { seconds: 30 }), at)",
    tests: [repositoryOnMemory],
    simulation: true
  },
  {
    name: "DLQ entry in a second transaction",
    file: addDeadLetters,
    find: "o.status = 'FAILED' AND o.discarded_at IS NULL",
    replace: "o.status = 'later'",
    tests: [repositoryOnPostgres],
    simulation: false
  },
  {
    name: "DLQ entry forgotten when the last lease runs out (memory)",
    file: `${memory}/MemoryOrders.ts`,
    find: "if (deadLetter === null) deleteDeadLetter(order.id)",
    replace: 'if (deadLetter === null || deadLetter.reasonCode === "WORKER_LOST") deleteDeadLetter(order.id)',
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
  },
  {
    name: "a submit of an ordering key that writes no check while the key has a head (SQL)",
    file: enqueueParts,
    find: "SELECT DISTINCT type, ordering_key FROM ${from(cte)} WHERE ordering_key <> ''",
    replace:
      "SELECT DISTINCT type, ordering_key FROM ${from(cte)} c WHERE ordering_key <> '' AND NOT EXISTS (SELECT FROM ${tablesOf(sql, schema).orderKeyHeads} h WHERE h.type = c.type AND h.ordering_key = c.ordering_key)",
    tests: [concurrency],
    simulation: false
  },
  {
    name: "a promotion that misses a submit (memory)",
    file: memoryKeys,
    find: "if (key.head === null && key.waiting.size > 0) headless.add(name)",
    replace: "if (isFinal(order.status) && key.head === null && key.waiting.size > 0) headless.add(name)",
    tests: [repositoryOnMemory],
    simulation: false
  },
  {
    name: "a submit that writes no lane check if its lane is there (SQL)",
    file: enqueueParts,
    find: "WHERE ordering_key = '' AND (type <> 'default' OR group_name <> '')",
    replace:
      "c WHERE ordering_key = '' AND (type <> 'default' OR group_name <> '') AND NOT EXISTS (SELECT FROM ${tablesOf(sql, schema).orderLanes} l WHERE l.priority = c.priority AND l.type = c.type AND l.group_name = c.group_name)",
    tests: [concurrency],
    simulation: false
  },
  {
    name: "a lane check taken while another claim closes its lane (SQL)",
    file: `${postgres}/functions/PromoteOrders.ts`,
    find: "SELECT FROM missed m WHERE m.group_name = c.group_name",
    replace: "SELECT FROM missed m WHERE false AND m.group_name = c.group_name",
    tests: [concurrency],
    simulation: false
  },
  {
    name: "a lane closed because of a pause that is being ended (SQL)",
    file: `${postgres}/functions/CloseLanes.ts`,
    find: "IF (SELECT count(*) FROM (SELECT FROM ${s}.order_pauses FOR SHARE SKIP LOCKED) locked)",
    replace: "IF (SELECT count(*) FROM ${s}.order_pauses)",
    tests: [concurrency],
    simulation: false
  },
  {
    name: "a retried order that gives up its ordering key (SQL)",
    file: settleFunction,
    find: '${endAttempts(s, "settled")}',
    replace:
      "freed_by_retry AS (DELETE FROM ${s}.order_key_heads h USING settled e WHERE e.event = 'retried' AND h.order_id = e.id), checked_by_retry AS (INSERT INTO ${s}.order_key_checks (type, ordering_key) SELECT type, ordering_key FROM settled WHERE event = 'retried' AND ordering_key <> ''), ${endAttempts(s, \"settled\")}",
    tests: [repositoryOnPostgres],
    simulation: false
  },
  {
    name: "a retried order that gives up its ordering key (memory)",
    file: memoryKeys,
    find: "if (isFinal(order.status)) {",
    replace: 'if (isFinal(order.status) || (order.status === "PENDING" && order.retryCount > 0)) {',
    tests: [repositoryOnMemory],
    simulation: false
  },
  {
    name: "an ordering key released when a lease ends (SQL)",
    file: `${postgres}/functions/ExpireLeases.ts`,
    find: '${endAttempts(s, "ended")}',
    replace:
      "freed_early AS (DELETE FROM ${s}.order_key_heads h USING ended e WHERE h.order_id = e.id), checked_early AS (INSERT INTO ${s}.order_key_checks (type, ordering_key) SELECT type, ordering_key FROM ended WHERE ordering_key <> ''), ${endAttempts(s, \"ended\")}",
    tests: [repositoryOnPostgres],
    simulation: false
  },
  {
    name: "an ordering key released when a lease ends (memory)",
    file: memoryKeys,
    find: "if (isFinal(order.status)) {",
    replace:
      'if (key.head === order.id && order.status === "PENDING" && order.reasonCode === "WORKER_LOST") key.head = null\n      if (isFinal(order.status)) {',
    tests: [repositoryOnMemory],
    simulation: false
  },
  {
    name: "a limit counted per process (SQL)",
    file: claimInTurn,
    find: '${runningOf(s, "g.group_name", maxRunningOf("g"))}',
    replace:
      "(SELECT count(*)::integer FROM ${s}.order_running r WHERE r.group_name = g.group_name AND r.worker = claimer)",
    tests: [repositoryOnPostgres],
    simulation: false
  },
  {
    name: "a limit counted without a lock of the group (SQL)",
    file: claimInTurn,
    find: "WHERE g.group_name = ANY (batch) FOR NO KEY UPDATE SKIP LOCKED)",
    replace: "WHERE g.group_name = ANY (batch))",
    tests: [concurrency],
    simulation: false
  },
  {
    name: "a limit kept in a counter that a lost worker leaves too high (SQL)",
    file: claimInTurn,
    find: '${runningOf(s, "g.group_name", maxRunningOf("g"))}',
    replace:
      "(SELECT (count(*) FILTER (WHERE e.event = 'started') - count(*) FILTER (WHERE e.event IN ('completed', 'failed', 'retried', 'released', 'snoozed') OR (e.event = 'cancelled' AND e.worker IS NOT NULL)))::integer FROM ${s}.orders o JOIN ${s}.order_events e ON e.order_id = o.id WHERE o.group_name = g.group_name)",
    tests: [repositoryOnPostgres],
    simulation: false
  },
  {
    name: "a limit kept in a counter that a lost worker leaves too high (memory)",
    file: `${memory}/MemoryOrders.ts`,
    find: "if (before !== undefined) leave(before.order)",
    replace:
      'if (before !== undefined) leave(before.order)\n      if (event.event === "expired") groups.countRunning(order.group, 1)',
    tests: [repositoryOnMemory],
    simulation: false
  },
  {
    name: "a rate without a bound of its burst (SQL)",
    file: `${postgres}/functions/Conditions.ts`,
    find: "least(\n  greatest(1, ${rateOf(g)}),\n  coalesce(${g}.tokens + (extract(epoch FROM moment - ${g}.refilled_at) * 1000)::float8 * ${rateOf(g)} / 1000, 'infinity'))",
    replace:
      "coalesce(${g}.tokens + (extract(epoch FROM moment - ${g}.refilled_at) * 1000)::float8 * ${rateOf(g)} / 1000, greatest(1, ${rateOf(g)}))",
    tests: [repositoryOnPostgres],
    simulation: false
  },
  {
    name: "a rate without a bound of its burst (memory)",
    file: memoryLimits,
    find: "return Math.min(burstOf(ratePerSecond), bucket.tokens + (millis * ratePerSecond) / 1000)",
    replace: "return bucket.tokens + (millis * ratePerSecond) / 1000",
    tests: [repositoryOnMemory],
    simulation: false
  },
  {
    name: "turns by the number of orders (SQL)",
    file: claimInTurn,
    find: "CONTINUE WHEN cardinality(batch) = 0;",
    replace:
      "CONTINUE WHEN cardinality(batch) = 0;\n        batch := ARRAY (SELECT b.name FROM unnest(batch) AS b (name) ORDER BY (SELECT count(*) FROM ${s}.order_due d WHERE d.priority = of_priority AND d.group_name = b.name) DESC, b.name);",
    tests: [repositoryOnPostgres],
    simulation: false
  },
  {
    name: "turns by the number of orders (memory)",
    file: `${memory}/work/ChooseOrders.ts`,
    find: "groups.sort(([a], [b]) => byCodePoint(a, b))",
    replace:
      "const count = (ofGroup: ReadonlyArray<Lane>) => ofGroup.reduce((sum, { orders }) => sum + orders.length, 0)\n  groups.sort(([, a], [, b]) => count(b) - count(a))",
    tests: [repositoryOnMemory],
    simulation: false
  },
  {
    name: "a group that takes all its orders before the next group's turn (memory)",
    file: `${memory}/work/ChooseOrders.ts`,
    find: "if (next !== undefined) startOrder(next)\n        return next !== undefined",
    replace:
      "for (let each = next; each !== undefined && started.length < request.max; each = nextOf(group, ofGroup)) startOrder(each)\n        return next !== undefined",
    tests: [repositoryOnMemory],
    simulation: false
  },
  {
    name: "a cancel of a running order that leaves a dead letter (SQL)",
    file: addDeadLetters,
    find: "o.status = 'FAILED' AND o.discarded_at IS NULL",
    replace: "o.status = 'FAILED'",
    tests: [repositoryOnPostgres],
    simulation: false
  },
  {
    name: "a cancel of a PENDING order that leaves a dead letter (SQL)",
    file: `${postgres}/functions/CancelOrder.ts`,
    find: "), freed_key AS (",
    replace:
      "), dead_lettered AS (\n    INSERT INTO ${s}.dead_letters (order_id, reason, reason_code, retry_count, failed_at, fingerprint)\n    SELECT c.id, c.failure_reason, c.reason_code, c.retry_count, moment, '0' FROM cancelled c\n  ), freed_key AS (",
    tests: [repositoryOnPostgres],
    simulation: false
  },
  {
    name: "a cancel that leaves a dead letter (memory)",
    file: "src/domain/DeadLetter.ts",
    find: "order.discardedAt === null &&",
    replace: '(order.discardedAt === null || event.event === "cancelled") &&',
    tests: [repositoryOnMemory],
    simulation: false
  },
  {
    name: "a settle that reads the request to cancel before it waits for the row (SQL)",
    file: settleFunction,
    find: "create: (s: string) => `",
    replace:
      "create: (s: string, isCancel = `(outcome.event = 'cancelled' OR ((SELECT c.cancel_requested FROM ${s}.orders c WHERE c.id = outcome.id) IS NOT NULL AND outcome.event <> 'completed'))`) => `",
    tests: [concurrency],
    simulation: false
  },
  {
    name: "a settle that ignores the request to cancel (SQL)",
    file: settleFunction,
    find: "(o.cancel_requested IS NOT NULL AND outcome.event <> 'completed')",
    replace: "false",
    tests: [concurrency],
    simulation: false
  },
  {
    name: "a settle that ignores the request to cancel (memory)",
    file: "src/domain/OrderTransitions.ts",
    find: 'if (order.cancelRequested !== null && outcome.event !== "completed") return cancelRunning(order, at)',
    replace: "",
    tests: [repositoryOnMemory],
    simulation: false
  },
  {
    name: "a cancel that answers from what it read before it waits for the row (SQL)",
    file: `${postgres}/functions/CancelOrder.ts`,
    find: "target := ${s}.order_platform_lock_v1(target_id);",
    replace:
      "SELECT o.* INTO target FROM ${s}.orders o WHERE o.id = target_id;\n  IF target.status = 'PROCESSING' THEN\n    UPDATE ${s}.orders o SET cancel_requested = coalesce(o.cancel_requested, cancel_reason) WHERE o.id = target.id AND o.status = 'PROCESSING';\n    target.cancel_requested := cancel_reason;\n    RETURN NEXT target;\n    RETURN;\n  END IF;\n  target := ${s}.order_platform_lock_v1(target_id);",
    tests: [concurrency],
    simulation: false
  },
  {
    name: "a next look that returns now for a blocked lane (SQL)",
    file: `${postgres}/functions/CloseLanes.ts`,
    find: "nullif(j.free_at, 'infinity')",
    replace: "CASE WHEN j.free_at = 'infinity' THEN moment ELSE j.free_at END",
    tests: [repositoryOnPostgres],
    simulation: false
  },
  {
    name: "a next look that returns now for an order behind another of its key (SQL)",
    file: `${postgres}/functions/NextDue.ts`,
    find: "RETURN nullif(next, 'infinity');",
    replace:
      "RETURN CASE WHEN EXISTS (SELECT FROM ${s}.order_key_waiting) THEN moment ELSE nullif(next, 'infinity') END;",
    tests: [repositoryOnPostgres],
    simulation: false
  },
  {
    name: "a next look that returns now for a full group (memory)",
    file: memoryNextDue,
    find: 'if (reached?.why === "group is full") return null',
    replace: 'if (reached?.why === "group is full") return at',
    tests: [repositoryOnMemory],
    simulation: false
  },
  {
    name: "a next look that returns now for a pause without end (memory)",
    file: memoryNextDue,
    find: "if (resumeAt === null) return null",
    replace: "if (resumeAt === null) return at",
    tests: [repositoryOnMemory],
    simulation: false
  },
  {
    name: "a next look that returns now for an order behind another of its key (memory)",
    file: memoryNextDue,
    find: "): DateTime.Utc | null =>\n  earliest(",
    replace: "): DateTime.Utc | null =>\n  memory.keys.countWaiting() > 0 ? at : earliest(",
    tests: [repositoryOnMemory],
    simulation: false
  },
  {
    name: "a fingerprint with an id in it",
    file: "src/domain/FailureGroup.ts",
    find: '.replace(uuid, "#")\n      .replace(opaque, "#")',
    replace: "",
    tests: [repositoryOnMemory, repositoryOnPostgres],
    simulation: false
  },
  {
    name: "a count of a failure group that misses retention (SQL)",
    file: "migrations/0001/orders.ts",
    find: "IF EXISTS (SELECT FROM deleted) THEN",
    replace: "IF EXISTS (SELECT FROM deleted) AND pg_trigger_depth() = 1 THEN",
    tests: [repositoryOnPostgres],
    simulation: false
  },
  {
    name: "a count of a failure group that misses retention (memory)",
    file: `${memory}/MemoryOrders.ts`,
    find: "byStatus[status].delete(id)\n      deleteDeadLetter(id)",
    replace: "byStatus[status].delete(id)\n      deadLetters.delete(id)",
    tests: [repositoryOnMemory],
    simulation: false
  }
]
