/** The size and duration of a run. */
export interface Plan {
  readonly name: "full" | "quick"
  readonly rounds: number
  readonly backlog: number
  readonly pickUpMs: number
  readonly warmUpMs: number
  readonly acceptMs: number
  readonly bulkMs: number
  readonly idleMs: number
  readonly pgbenchSeconds: number
  readonly soakMs: number
  /** Final orders in the table of the grown contender; 0 leaves it out. */
  readonly millions: number
  /** The time limit of the whole run. */
  readonly limitMs: number
}

const full: Plan = {
  name: "full",
  rounds: 3,
  backlog: 50_000,
  pickUpMs: 8000,
  warmUpMs: 3000,
  acceptMs: 8000,
  bulkMs: 4000,
  idleMs: 60_000,
  pgbenchSeconds: 5,
  soakMs: 60_000,
  millions: 5,
  limitMs: 40 * 60_000
}

const quick: Plan = {
  name: "quick",
  rounds: 1,
  backlog: 10_000,
  pickUpMs: 3000,
  warmUpMs: 1000,
  acceptMs: 2500,
  bulkMs: 2000,
  idleMs: 10_000,
  pgbenchSeconds: 2,
  soakMs: 10_000,
  millions: 0,
  limitMs: 10 * 60_000
}

export const planOf = (options: {
  readonly quick: boolean
  readonly millions?: number
  readonly rounds?: number
}): Plan => {
  const plan = options.quick ? quick : full
  return {
    ...plan,
    ...(options.millions !== undefined && { millions: options.millions }),
    ...(options.rounds !== undefined && { rounds: options.rounds })
  }
}
