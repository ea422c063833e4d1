import { parseArgs } from "node:util"
import { simulateAll } from "./Shares.ts"
import { simulate } from "./Simulation.ts"
import { faultKinds } from "./SimulatedWorld.ts"

// npm run simulate -- --histories 10000 --seed 1 Simulates histories starting at that seed. If one breaks a promise,
// prints its trace and exits 1.

const whole = (name: string, text: string): number => {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 1)
    throw new Error(`--${name} is ${text}; it is a whole number from 1 on.`)
  return value
}

const { values } = parseArgs({
  options: { histories: { type: "string", default: "10000" }, seed: { type: "string", default: "1" } }
})
const histories = whole("histories", values.histories)
const first = whole("seed", values.seed)

const began = performance.now()
const all = await simulateAll({ first, histories, secondsAtMost: Infinity })
const seconds = (performance.now() - began) / 1000
const faults = faultKinds.map((kind) => `${kind} ${all.counts.get(kind) ?? 0}`).join(", ")
console.log(
  `${all.histories} histories from seed ${first} on, ${all.steps} port calls, in ${seconds.toFixed(1)} s; ${faults}`
)
const [failed] = all.failed
if (failed !== undefined) {
  const [seed] = failed
  const { trace, violations } = simulate(seed, true)
  console.log(trace.join("\n"))
  console.log(`${all.failed.length} broke a promise, first seed ${seed}:\n  ${violations.join("\n  ")}`)
  console.log(`Again: npm run simulate -- --histories 1 --seed ${seed}`)
  process.exitCode = 1
} else console.log("Every history kept every promise.")
