// `node --import` this: examples import the package by its name, and here that is the sources.
import { registerHooks } from "node:module"

const sources = {
  "order-platform": "index.ts",
  "order-platform/contract": "contract.ts",
  "order-platform/testing": "testing.ts",
  "order-platform/testing/conformance": "conformance.ts"
}

registerHooks({
  resolve: (specifier, context, next) =>
    specifier in sources
      ? { url: new URL(`../../src/${sources[specifier]}`, import.meta.url).href, shortCircuit: true }
      : next(specifier, context)
})
