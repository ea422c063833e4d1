import * as fs from "node:fs"
import { isatty } from "node:tty"

const stdout = 1

/**
 * A file descriptor of standard output that does not block. Node makes pipes and sockets non-blocking, but
 * not a terminal, which blocks while its output is stopped (Ctrl-S). So a terminal is opened again, as
 * non-blocking.
 */
const openStdout = (): number => {
  if (!isatty(stdout)) {
    // The first access to `process.stdout` creates the stream, which makes the descriptor non-blocking.
    void process.stdout.writable
    return stdout
  }
  try {
    return fs.openSync("/proc/self/fd/1", fs.constants.O_WRONLY | fs.constants.O_NONBLOCK)
  } catch {
    return stdout
  }
}

/**
 * Returns a function that writes to standard output without blocking and returns the number of bytes written. It throws
 * as `fs.writeSync` does.
 */
export const makeWriteStdout = (): ((bytes: Buffer) => number) => {
  const fd = openStdout()
  return (bytes) => fs.writeSync(fd, bytes)
}

/**
 * Ignores failures of Node's own writes to stdout and stderr, such as the write of a help text or of a last
 * error. Otherwise such a failure would end the process.
 */
export const ignoreOutputErrors = (): void => {
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {})
}
