import { isNodeNewEnough, sentence } from "./node-version.js"

if (!isNodeNewEnough) {
  console.error(sentence)
  process.exit(1)
}
