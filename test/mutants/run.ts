import { spawnSync } from "node:child_process"
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { type Mutant, mutants } from "./Mutants.ts"

// Puts each mutant into a copy of the project, runs the tests that must fail, and fails if a mutant survives. Prints
// the table of docs/mutants.md.

const root = fileURLToPath(new URL("../..", import.meta.url))
const copied = [
  "src",
  "test",
  "chaos",
  "examples",
  "migrations",
  "bin",
  "package.json",
  "tsconfig.json",
  "vitest.config.ts",
  "application.yaml"
]

/** The first failing test's name, or null if all passed. */
const firstFailure = (directory: string, tests: ReadonlyArray<string>): string | null => {
  if (tests.length === 0) return null
  const { status, stdout } = spawnSync(
    process.execPath,
    [
      "node_modules/vitest/vitest.mjs",
      "run",
      "--reporter=json",
      "--outputFile=report.json",
      "--bail=1",
      "--testTimeout=20000",
      ...tests
    ],
    {
      cwd: directory,
      encoding: "utf8",
      timeout: 900_000,
      maxBuffer: 64 << 20,
      env: { ...process.env, SIMULATION_HISTORIES: process.env["SIMULATION_HISTORIES"] ?? "1500" }
    }
  )
  if (status === 0) return null
  const report = join(directory, "report.json")
  if (!existsSync(report)) throw new Error(`The tests did not run: ${stdout.slice(-2000)}`)
  const { testResults } = JSON.parse(readFileSync(report, "utf8")) as {
    readonly testResults: ReadonlyArray<{
      readonly message: string
      readonly assertionResults: ReadonlyArray<{ readonly status: string; readonly title: string }>
    }>
  }
  const failed = testResults
    .flatMap(({ assertionResults }) => assertionResults)
    .find(({ status }) => status === "failed")
  if (failed === undefined)
    throw new Error(`No test ran: ${testResults.map(({ message }) => message).join("\n")}`)
  return failed.title
}

const withCopy = <A>(use: (directory: string) => A): A => {
  const directory = mkdtempSync(join(tmpdir(), "order-platform-mutant-"))
  try {
    for (const part of copied) cpSync(join(root, part), join(directory, part), { recursive: true })
    symlinkSync(join(root, "node_modules"), join(directory, "node_modules"))
    return use(directory)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

const mutate = (directory: string, { file, find, imports, name, replace }: Mutant) => {
  const source = readFileSync(join(directory, file), "utf8")
  if (source.split(find).length !== 2) throw new Error(`"${name}": its text is not in ${file} exactly once`)
  writeFileSync(
    join(directory, file),
    `${imports === undefined ? "" : `${imports}\n`}${source.replace(find, () => replace)}`
  )
}

const simulation = "test/simulation/Simulation.test.ts"
const healthy = withCopy((directory) =>
  firstFailure(directory, [simulation, ...new Set(mutants.flatMap(({ tests }) => tests))])
)
if (healthy !== null) throw new Error(`A test fails without any mutant: ${healthy}`)

let survivors = 0
const only = process.argv[2] === undefined ? undefined : new RegExp(process.argv[2])
console.log("| mutant | killed by | simulation |\n| --- | --- | --- |")
for (const mutant of mutants) {
  if (only?.test(mutant.name) === false) continue
  const [test, simulated] = withCopy((directory) => {
    mutate(directory, mutant)
    return [
      firstFailure(directory, mutant.tests),
      mutant.simulation ? firstFailure(directory, [simulation]) : null
    ]
  })
  const survived = (mutant.tests.length > 0 && test === null) || (mutant.simulation && simulated === null)
  if (survived) survivors++
  const seen = mutant.simulation ? (simulated === null ? "SURVIVED" : "killed") : "not asked"
  console.log(`| ${mutant.name} | ${mutant.tests.length === 0 ? "" : (test ?? "SURVIVED")} | ${seen} |`)
}
console.log(`\n${mutants.length} mutants, ${survivors} survived`)
process.exitCode = survivors === 0 ? 0 : 1
