export { pass, settled } from "../src/testing/VirtualTime.ts"
