// `node --import` this: examples import the package by its name, and here that is the sources.
import { registerHooks } from "node:module"
import sources from "./packageSources.json" with { type: "json" }

registerHooks({
  resolve: (specifier, context, next) =>
    specifier in sources
      ? { url: new URL(`../../${sources[specifier]}`, import.meta.url).href, shortCircuit: true }
      : next(specifier, context)
})
