// Plain JavaScript that every version of Node can run, because this file detects versions that are too old.
import { existsSync } from "node:fs"
import { fileURLToPath } from "node:url"

// Type stripping without a flag and Effect 4 need these versions. Effect's platform package does not support 23.x.
const [major, minor] = process.versions.node.split(".").map(Number)

export const isNodeNewEnough = major >= 24 || (major === 22 && minor >= 19)

/** The Node executable that `npm ci` installed in this clone; undefined if there is none for this platform. */
export const cloneNode = () => {
  const platform = process.platform === "win32" ? "win" : process.platform
  const name = process.platform === "win32" ? "node.exe" : "node"
  const file = fileURLToPath(
    new URL(`../node_modules/node-${platform}-${process.arch}/bin/${name}`, import.meta.url)
  )
  return existsSync(file) ? file : undefined
}

export const sentence =
  `order-platform needs Node 24 (or 22 from 22.19 on) and this is Node ${process.versions.node}: in a clone \`npm ci\` installs a suitable Node ` +
  `(linux x64/arm64, macOS x64, Windows x64); in all other cases install Node 24 from nodejs.org.`
