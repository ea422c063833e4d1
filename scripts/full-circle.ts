import { readFileSync } from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { parseSync } from "oxc-parser"
import { type Verb, verbs } from "../test/Verbs.ts"

// Lists the files of an order's full circle on PostgreSQL: POST → claim → run → settle → dead letter → reprocess. These
// are the files of the verbs and what they import as values, by layer. Not followed: type-only imports, the facade,
// files of other verbs (a room's store also imports renew, expire and discard), and code that knows no step of an
// order. `--all` follows everything.

const circle: ReadonlyArray<Verb> = [verbs.submit, verbs.claim, verbs.settle, verbs.reprocess]

/** The files that run between claim and settle. */
const run = ["src/application/work/RunAttempt.ts"]

const endpoints = ["src/contract/OrdersEndpoints.ts", "src/contract/DeadLettersEndpoints.ts"]

const root = fileURLToPath(new URL("..", import.meta.url))

const storeOf = ({ port: { port }, postgres }: Verb) => `${path.posix.dirname(postgres)}/Postgres${port}.ts`

const filesOf = (verb: Verb): ReadonlyArray<string> =>
  [
    verb.routes,
    verb.application,
    `application/ports/${verb.port.port}.ts`,
    storeOf(verb),
    verb.postgres
  ].flatMap((file) => (file === null ? [] : [`src/${file}`]))

const inCircle = new Set(circle.flatMap(filesOf))

/** Files that every request, statement or queue uses, and metrics. */
const machinery =
  /^src\/(application\/\w+\/\w+Metrics|concurrency|contract\/(?!(Orders|DeadLetters)Endpoints)|domain\/(NearestKey|ValidationIssues)|infrastructure\/(http\/(edge|body)|postgres\/client))\b/

const facade = "src/application/OrderPlatform.ts"

/** Files of other verbs, and reads, which are not steps of the circle. */
const elsewhere = new Set([
  ...Object.values<Verb>(verbs)
    .flatMap((verb) => [verb.application, verb.postgres].map((file) => `src/${file}`))
    .filter((file) => !inCircle.has(file)),
  "src/application/ports/OrderReads.ts",
  "src/infrastructure/postgres/intake/CountPending.ts",
  "src/infrastructure/http/routes/ListingCursor.ts",
  "src/infrastructure/http/routes/ListingFilters.ts",
  "src/infrastructure/postgres/dead-letters/ListDeadLetters.ts",
  "src/infrastructure/postgres/watch/FindOrder.ts"
])

const follows = (file: string): boolean =>
  process.argv.includes("--all") || !(machinery.test(file) || elsewhere.has(file) || file === facade)

const valueImportsOf = (file: string): ReadonlyArray<string> => {
  const { module } = parseSync(file, readFileSync(path.join(root, file), "utf8"))
  return [
    ...module.staticImports
      .filter(({ entries }) => entries.length === 0 || entries.some(({ isType }) => !isType))
      .map(({ moduleRequest }) => moduleRequest.value),
    ...module.staticExports.flatMap(({ entries }) =>
      entries.flatMap(({ isType, moduleRequest }) => (isType || !moduleRequest ? [] : [moduleRequest.value]))
    )
  ]
    .filter((request) => request.startsWith("."))
    .map((request) => path.posix.join(file, "..", request))
}

/** The files of the circle, starting from these. */
export const filesOfCircle = (): ReadonlyArray<string> => {
  const found = new Set<string>()
  const waiting = [...endpoints, ...inCircle, ...run]
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    if (found.has(file) || !follows(file)) continue
    found.add(file)
    waiting.push(...valueImportsOf(file).filter((imported) => imported.startsWith("src/")))
  }
  return [...found].sort()
}

const layerOf = (file: string) => /^src\/(infrastructure\/[^/]+|[^/]+)/.exec(file)?.[1] ?? ""

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const files = filesOfCircle()
  for (const [layer, ofLayer] of Map.groupBy(files, layerOf)) {
    console.log(`${layer} (${ofLayer.length})`)
    for (const file of ofLayer) console.log(`  ${file}`)
  }
  console.log(`\n${files.length} files`)
}
