import { assert, describe, it } from "@effect/vitest"
import { vi } from "vitest"
import { LogSink } from "../../../src/infrastructure/telemetry/LogSink.ts"

const errorOf = (code: string) => Object.assign(new Error(code), { code })

/** An output that accepts as many bytes as the test allows, and the sink that writes to it. */
const makeOutput = () => {
  const output = { text: "", capacity: Number.POSITIVE_INFINITY, full: "EAGAIN" }
  const sink = new LogSink(
    (bytes) => {
      if (output.capacity === 0) throw errorOf(output.full)
      const taken = Math.min(bytes.length, output.capacity)
      output.capacity -= taken
      output.text += bytes.subarray(0, taken).toString()
      return taken
    },
    (lost) => `lost ${lost}`
  )
  return { output, sink }
}

const withTimers = (test: () => void) => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] })
  try {
    test()
  } finally {
    vi.useRealTimers()
  }
}

describe("the log sink", () => {
  it("writes lines at once", () => {
    const { output, sink } = makeOutput()
    sink.log("a")
    sink.log("b")
    assert.strictEqual(output.text, "a\nb\n")
    assert.isTrue(sink.isEmpty)
  })

  it("keeps lines while a pipe is full, and continues in order at the byte where it stopped", () =>
    withTimers(() => {
      const { output, sink } = makeOutput()
      output.capacity = 3
      sink.log("abcdef")
      sink.log("g")
      assert.strictEqual(output.text, "abc")
      assert.isFalse(sink.isEmpty)
      output.capacity = Number.POSITIVE_INFINITY
      vi.advanceTimersByTime(20)
      assert.strictEqual(output.text, "abcdef\ng\n")
      assert.isTrue(sink.isEmpty)
    }))

  it("keeps no more than its limit, and logs the number of lost lines once the pipe accepts lines again", () =>
    withTimers(() => {
      const { output, sink } = makeOutput()
      const line = "x".repeat(1023)
      output.capacity = 0
      for (let n = 0; n < 1024 + 7; n++) sink.log(line)
      output.capacity = Number.POSITIVE_INFINITY
      vi.advanceTimersByTime(20)
      const lines = output.text.split("\n")
      assert.lengthOf(
        lines.filter((each) => each === line),
        1024
      )
      assert.strictEqual(lines.at(-2), "lost 7")
    }))

  for (const code of ["EPIPE", "ENOSPC", "EIO"]) {
    it(`continues after ${code}, and logs the number of lost lines once the log can be written again`, () =>
      withTimers(() => {
        const { output, sink } = makeOutput()
        output.full = code
        output.capacity = 2
        sink.log("cut off")
        sink.log("lost")
        vi.advanceTimersByTime(5000)
        sink.log("lost, too")
        assert.strictEqual(output.text, "cu")
        output.capacity = Number.POSITIVE_INFINITY
        vi.advanceTimersByTime(1000)
        sink.log("again")
        // The line that was cut off ends before the next one begins.
        assert.strictEqual(output.text, "cu\nlost 3\nagain\n")
      }))
  }
})
