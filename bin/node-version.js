// Plain JavaScript for any version of Node: it reports the versions that are too old for the rest.
import { existsSync } from "node:fs"
import { fileURLToPath } from "node:url"

// Needed for type stripping without a flag, and by Effect 4; Effect's platform package never supported 23.x.
const [major, minor] = process.versions.node.split(".").map(Number)

export const isNodeNewEnough = major >= 24 || (major === 22 && minor >= 19)

/** The Node that `npm ci` installed for this clone, if there is one for this platform. */
export const cloneNode = () => {
  const platform = process.platform === "win32" ? "win" : process.platform
  const name = process.platform === "win32" ? "node.exe" : "node"
  const file = fileURLToPath(
    new URL(`../node_modules/node-${platform}-${process.arch}/bin/${name}`, import.meta.url)
  )
  return existsSync(file) ? file : undefined
}

export const sentence =
  `order-platform needs Node 24 (or 22 from 22.19 on) and this is ${process.versions.node}: in a clone \`npm ci\` installs one ` +
  `(linux x64/arm64, macOS x64, Windows x64), else install Node 24 from nodejs.org.`
