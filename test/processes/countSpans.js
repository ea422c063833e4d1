// `node --import` this: a process says at its end which spans it made although nobody installed a tracer.
import { Effect, Tracer } from "effect"
import { writeSync } from "node:fs"

const names = []
const make = Tracer.nativeTracer.span
Tracer.nativeTracer.span = (options) => {
  names.push(options.name)
  return make(options)
}

// One of our own, for whoever reads the list to see that it is kept.
Effect.runSync(Effect.withSpan(Effect.void, "counted"))

process.on("exit", () => writeSync(process.stderr.fd, `spans: ${JSON.stringify(names)}\n`))
