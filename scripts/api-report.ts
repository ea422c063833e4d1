// Writes docs/api.md: every declaration that an app can import or reach, with its description, from the built d.ts
// files. `npm run api` writes it; `npm run check` fails if it is not up to date, so that a change of the public API is
// visible in review. API Extractor and TypeDoc do not support TypeScript 7 yet.

import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { parseSync } from "oxc-parser"

const root = fileURLToPath(new URL("..", import.meta.url))

interface Target {
  readonly file: string
  /** `*` is the whole module. */
  readonly name: string
}

interface Module {
  readonly file: string
  readonly source: string
  readonly declared: Map<string, Array<{ readonly text: string; readonly doc: string }>>
  readonly imported: Map<string, Target>
  readonly exported: Map<string, Target>
  readonly everythingOf: Array<string>
}

const modules = new Map<string, Module>()

/** The declarations, own imports and exports of a declaration file. */
const read = (file: string): Module => {
  const known = modules.get(file)
  if (known !== undefined) return known
  const source = fs.readFileSync(file, "utf8")
  const { comments, program } = parseSync(file, source)
  const module: Module = {
    file,
    source,
    declared: new Map(),
    imported: new Map(),
    exported: new Map(),
    everythingOf: []
  }
  modules.set(file, module)
  const ours = (request: string) => path.join(path.dirname(file), request).replace(/\.ts$/, ".d.ts")
  const docBefore = (start: number) => {
    const comment = comments.findLast(({ end }) => end <= start)
    const isDoc =
      comment?.type === "Block" &&
      comment.value.startsWith("*") &&
      source.slice(comment.end, start).trim() === ""
    return isDoc ? comment.value.replace(/^\s*\*+ ?/gm, "").trim() : ""
  }
  const nameOf = (node: { readonly type: string }) =>
    "name" in node ? String(node.name) : "value" in node ? String(node.value) : ""
  const declare = (name: string, start: number, end: number) => {
    const text = source.slice(start, end).replaceAll(/^\s*\/\*\*.*?\*\/\n/gms, "")
    module.declared.set(name, [...(module.declared.get(name) ?? []), { text, doc: docBefore(start) }])
  }

  for (const node of program.body) {
    if (node.type === "ImportDeclaration" && node.source.value.startsWith(".")) {
      for (const specifier of node.specifiers) {
        const name = specifier.type === "ImportSpecifier" ? nameOf(specifier.imported) : "*"
        module.imported.set(specifier.local.name, { file: ours(node.source.value), name })
      }
    } else if (node.type === "ExportAllDeclaration" && node.source.value.startsWith(".")) {
      if (node.exported === null) module.everythingOf.push(ours(node.source.value))
      else module.exported.set(nameOf(node.exported), { file: ours(node.source.value), name: "*" })
    } else if (node.type === "ExportNamedDeclaration" && node.declaration === null) {
      for (const { exported, local } of node.specifiers) {
        const from = node.source === null ? file : ours(node.source.value)
        module.exported.set(nameOf(exported), { file: from, name: nameOf(local) })
      }
    } else {
      const declaration = node.type === "ExportNamedDeclaration" ? node.declaration : node
      if (declaration === null) continue
      const names =
        declaration.type === "VariableDeclaration"
          ? declaration.declarations.map(({ id }) => nameOf(id))
          : "id" in declaration && declaration.id !== null
            ? [nameOf(declaration.id)]
            : []
      for (const name of names) {
        declare(name, node.start, node.end)
        if (node.type === "ExportNamedDeclaration") module.exported.set(name, { file, name })
      }
    }
  }
  return module
}

/** The file that finally declares a name of a module. */
const resolve = ({ file, name }: Target): Target => {
  if (name === "*") return { file, name }
  const module = read(file)
  const direct = module.exported.get(name)
  if (direct !== undefined && !(direct.file === file && direct.name === name)) return resolve(direct)
  if (module.declared.has(name)) return { file, name }
  const imported = module.imported.get(name)
  if (imported !== undefined) return resolve(imported)
  for (const other of module.everythingOf)
    if (exportsOf(other).some(([exported]) => exported === name)) return resolve({ file: other, name })
  throw new Error(`${file} exports ${name}, which is nowhere declared`)
}

const exportsOf = (file: string): ReadonlyArray<readonly [name: string, target: Target]> => {
  const module = read(file)
  return [
    ...Array.from(module.exported, ([name, target]) => [name, resolve(target)] as const),
    ...module.everythingOf.flatMap(exportsOf)
  ].sort(([a], [b]) => (a < b ? -1 : 1))
}

/** The names of this package in a declaration. */
const mentioned = ({ file, name }: Target): ReadonlyArray<Target> => {
  const module = read(file)
  const words = new Set(
    (module.declared.get(name) ?? []).flatMap(({ text }) => text.match(/\b[A-Za-z_]\w*\b/g) ?? [])
  )
  return [...words]
    .filter((word) => word !== name && (module.declared.has(word) || module.imported.has(word)))
    .map((word) => resolve(module.imported.get(word) ?? { file, name: word }))
}

const heading = (level: number, text: string) => `${"#".repeat(level)} ${text}`

/**
 * The compiler infers the type of the HTTP contract and writes the members of its unions in a different order each
 * time, so the report has the sorted parts of such a declaration.
 */
const stable = (text: string) => {
  if (text.length < 4000) return text
  const parts = text.split(/[<>{};|,]|\s\(|=>/).map((part) => part.replaceAll(/\s+/g, " ").trim())
  return [`${text.slice(0, text.indexOf("=>"))}=> // inferred; its parts:`]
    .concat([...new Set(parts)].filter((part) => part.length > 2).sort())
    .join("\n  // ")
}

const entry = (level: number, title: string, { file, name }: Target) => {
  const parts = read(file).declared.get(name) ?? []
  const docs = parts.map(({ doc }) => doc).filter((doc) => doc !== "")
  return [
    heading(level, `\`${title}\``),
    ...docs,
    ["```ts", ...parts.map(({ text }) => stable(text)), "```"].join("\n")
  ].join("\n\n")
}

/** The report on the declarations that `tsc` built in a folder. */
const report = (dist: string): string => {
  modules.clear()
  const { exports } = JSON.parse(fs.readFileSync(path.join(root, "package.json"), "utf8")) as {
    exports: Record<string, string | { types: string }>
  }
  const shown = new Set<string>()
  const idOf = ({ file, name }: Target) => `${file} ${name}`
  const seen: Array<Target> = []
  const show = (level: number, title: string, target: Target): string => {
    if (target.name === "*")
      return [
        heading(level, `\`${title}\``),
        ...exportsOf(target.file).map(([name, inner]) => show(level + 1, `${title}.${name}`, inner))
      ].join("\n\n")
    if (shown.has(idOf(target))) return `${heading(level, `\`${title}\``)}\n\nSee above.`
    shown.add(idOf(target))
    seen.push(target)
    return entry(level, title, target)
  }
  const sections = Object.entries(exports).flatMap(([subpath, target]) => {
    if (typeof target === "string") return []
    const file = path.join(dist, target.types.replace("./dist/", ""))
    const name = path.posix.join("order-platform", subpath)
    return [heading(2, name), ...exportsOf(file).map(([name, target]) => show(3, name, target))]
  })
  const reached: Array<string> = []
  for (let next = seen.shift(); next !== undefined; next = seen.shift()) {
    for (const target of mentioned(next)) {
      if (target.name === "*" || shown.has(idOf(target))) continue
      shown.add(idOf(target))
      seen.push(target)
      reached.push(entry(3, target.name, target))
    }
  }
  return `${[
    heading(1, "The public API"),
    "Written by `npm run api` from the declarations that the package ships, and checked by `npm run check`. Whatever changes here changes for apps that embed the platform.",
    ...sections,
    heading(2, "Reached by these"),
    "Not to be imported by name, but part of the types above.",
    ...reached.sort()
  ].join("\n\n")}\n`
}

/** Builds the declarations in a temporary folder and reports on them. */
const apiReport = (): string => {
  const dist = fs.mkdtempSync(path.join(os.tmpdir(), "order-platform-api-"))
  try {
    const tsc = path.join(root, "node_modules/typescript/bin/tsc")
    const options = ["-p", "tsconfig.build.json", "--emitDeclarationOnly", "--sourceMap", "false"]
    execFileSync(process.execPath, [tsc, ...options, "--inlineSources", "false", "--outDir", dist], {
      cwd: root
    })
    return report(dist)
  } finally {
    fs.rmSync(dist, { recursive: true, force: true })
  }
}

const document = path.join(root, "docs/api.md")
const reported = apiReport()
if (!process.argv.includes("--check")) fs.writeFileSync(document, reported)
else if (fs.readFileSync(document, "utf8") !== reported) {
  console.error("docs/api.md is not up to date: `npm run api` writes it.")
  process.exitCode = 1
}
