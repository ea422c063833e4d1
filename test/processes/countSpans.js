// Loaded by `node --import`: the process prints at its exit which spans it made without a tracer.
import { Effect, Tracer } from "effect"
import { writeSync } from "node:fs"

const names = []
const make = Tracer.nativeTracer.span
Tracer.nativeTracer.span = (options) => {
  names.push(options.name)
  return make(options)
}

// The control: this span must be in the list.
Effect.runSync(Effect.withSpan(Effect.void, "counted"))

process.on("exit", () => writeSync(process.stderr.fd, `spans: ${JSON.stringify(names)}\n`))
