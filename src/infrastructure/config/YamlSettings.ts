import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument } from "yaml"
import type { Document, ErrorCode, Node, Pair, ParsedNode, YAMLMap, YAMLSeq } from "yaml"
import { nearestKey } from "../../domain/NearestKey.ts"
import { sectionsOf } from "./SettingsTree.ts"

/** The text of each setting in a YAML document with its place, or what keeps it from being settings. */
export interface YamlSettings {
  readonly settings: ReadonlyMap<string, { readonly text: string; readonly place: string }>
  readonly problems: ReadonlyArray<string>
}

/**
 * Reads settings out of YAML 1.2. The source text of a scalar is kept (`1e3`, `007`), so that the file and the
 * environment mean the same; null and the empty text count as not given. A list of one of
 * `lists` becomes a text with commas. Dotted keys are taken as nested ones.
 */
export const yamlSettings = (
  file: string,
  yaml: string,
  keys: ReadonlySet<string>,
  notYetSupported: ReadonlySet<string>,
  lists: ReadonlySet<string>
): YamlSettings => {
  const lineCounter = new LineCounter()
  // No pretty errors, no messages of the parser: both quote the file, and a password may be on that line.
  const document = parseDocument(yaml, {
    lineCounter,
    prettyErrors: false,
    stringKeys: true,
    logLevel: "error"
  })
  const placeOf = (offset: number) => {
    const { col, line } = lineCounter.linePos(offset)
    return `${file}:${line}:${col}`
  }
  const [broken] = [...document.errors, ...document.warnings]
  if (broken !== undefined) {
    const problem = syntaxProblems[broken.code] ?? `is not valid YAML (${broken.code})`
    return { settings: new Map(), problems: [`${placeOf(broken.pos[0])} ${problem}.`] }
  }

  const sections = sectionsOf([...keys, ...notYetSupported])
  const settings = new Map<string, { text: string; place: string }>()
  const problems: Array<string> = []

  const readSection = (section: YAMLMap, prefix: string) => {
    for (const { key, value } of section.items as ReadonlyArray<Pair<ParsedNode, ParsedNode | null>>) {
      const name = isScalar(key) ? String(key.value) : ""
      readEntry(prefix + name, resolved(document, value), placeOf(key.range[0]))
    }
  }

  const readEntry = (key: string, value: Node | undefined, keyPlace: string) => {
    const place = value?.range ? placeOf(value.range[0]) : keyPlace
    const isLater = notYetSupported.has(key)
    if (isAlias(value)) problems.push(`${place} ${missingAnchor}.`)
    else if (keys.has(key) || isLater) {
      if (isEmpty(value)) return
      if (settings.has(key)) problems.push(`${key} (${keyPlace}) is given twice.`)
      else if (isScalar(value)) settings.set(key, { text: value.source ?? String(value.value), place })
      else if (isLater) settings.set(key, { text: "", place })
      else if (isSeq(value) && lists.has(key)) readList(key, value, place)
      else problems.push(`${key} (${place}) is a ${isSeq(value) ? "list" : "section"}: it must be one value.`)
    } else if (sections.has(key)) {
      if (isMap(value)) readSection(value, `${key}.`)
      // The value is not shown: the likeliest slip is a connection URL in the place of the section.
      else if (!isEmpty(value)) problems.push(`${key} (${place}) ${notASection}.`)
    } else {
      // What does not look like a key may be a value that went astray, so it is not shown either.
      const meant = nearestKey(key, [...keys, ...sections])
      const hint = meant === undefined ? "." : `; did you mean ${meant}?`
      const name = /^[\w.-]{1,100}$/.test(key) ? `${key} (${keyPlace})` : `The key at ${keyPlace}`
      problems.push(`${name} is not a known setting${hint}`)
    }
  }

  const readList = (key: string, list: YAMLSeq, place: string) => {
    const texts = (list.items as ReadonlyArray<Node | null>)
      .map((item) => resolved(document, item))
      .map((item) => (isScalar(item) && !isEmpty(item) ? (item.source ?? String(item.value)) : null))
    if (texts.includes(null)) problems.push(`${key} (${place}) has a part that is not one value.`)
    else if (texts.length > 0) settings.set(key, { text: texts.join(","), place })
  }

  const root = resolved(document, document.contents)
  if (isMap(root)) readSection(root, "")
  else if (!isEmpty(root)) problems.push(`${file} ${notASection}.`)
  return { settings, problems }
}

// An alias without its anchor stays an alias: the parser leaves it to the reader to find that out.
const resolved = (document: Document, node: Node | null): Node | undefined =>
  isAlias(node) ? (node.resolve(document) ?? node) : (node ?? undefined)

const notASection = "is a single value or a list: it must be a section of settings"

const isEmpty = (node: Node | undefined) =>
  node === undefined || (isScalar(node) && (node.value === null || node.value === ""))

const missingAnchor = "refers to an anchor that is not there"

const syntaxProblems: Partial<Record<ErrorCode, string>> = {
  BAD_ALIAS: missingAnchor,
  BAD_INDENT: "is not valid YAML: the indentation is wrong",
  DUPLICATE_KEY: "gives a key that this section has already",
  MULTIPLE_DOCS: "begins a second document: only one is read",
  NON_STRING_KEY: "has a key that is not text",
  TAB_AS_INDENT: "is not valid YAML: it is indented with a tab",
  TAG_RESOLVE_FAILED: "has a tag (!) that is not known"
}
