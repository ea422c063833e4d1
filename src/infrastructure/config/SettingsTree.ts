import { String } from "effect"
import type { Setting } from "./Setting.ts"

/** Settings in sections, nested as in `application.yaml`. */
export interface SettingsTree {
  readonly [name: string]: Setting<unknown> | SettingsTree
}

/** The values that settings of this tree have once they are read. */
export type Values<Tree> = {
  readonly [Name in keyof Tree]: Tree[Name] extends Setting<infer A> ? A : Values<Tree[Name]>
}

const isSetting = (node: Setting<unknown> | SettingsTree): node is Setting<unknown> =>
  node["_tag"] === "Setting"

/** Every setting by its key (`order.worker.maxRetries`), in the same sequence as in the tree. */
export const settingsByKey = (tree: SettingsTree, section = ""): ReadonlyMap<string, Setting<unknown>> =>
  new Map(
    Object.entries(tree).flatMap(([name, node]) =>
      isSetting(node) ? [[section + name, node] as const] : [...settingsByKey(node, `${section}${name}.`)]
    )
  )

/** The tree, with each setting replaced by the value that `valueOf` returns for its key. */
export const valuesOf = <Tree extends SettingsTree>(
  tree: Tree,
  valueOf: (key: string) => unknown,
  section = ""
): Values<Tree> =>
  Object.fromEntries(
    Object.entries(tree).map(([name, node]) => [
      name,
      isSetting(node) ? valueOf(section + name) : valuesOf(node, valueOf, `${section}${name}.`)
    ])
  ) as Values<Tree>

/** The sections of these keys: `order` and `order.worker` for `order.worker.maxRetries`. */
export const sectionsOf = (keys: Iterable<string>): ReadonlySet<string> =>
  new Set([...keys].flatMap((key) => Array.from(key.matchAll(/\./g), (dot) => key.slice(0, dot.index))))

/** The environment variable of a key: `order.worker.maxRetries` is `ORDER_WORKER_MAX_RETRIES`. */
export const environmentVariable = (key: string): string => key.split(".").map(String.configCase).join("_")
