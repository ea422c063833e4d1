import * as fs from "node:fs"
import { isatty } from "node:tty"

const stdout = 1

/**
 * The file descriptor by which standard output is written without blocking. Node sets its pipes and sockets to
 * non-blocking, but not a terminal, which blocks while its output is held (Ctrl-S): that is opened once more.
 */
const openStdout = (): number => {
  if (!isatty(stdout)) {
    // Node sets up the stream, and with it the descriptor, when it is first read.
    void process.stdout.writable
    return stdout
  }
  try {
    return fs.openSync("/proc/self/fd/1", fs.constants.O_WRONLY | fs.constants.O_NONBLOCK)
  } catch {
    return stdout
  }
}

/** Writes bytes to standard output without blocking, and returns how many were taken. Throws as `fs.writeSync` does. */
export const makeWriteStdout = (): ((bytes: Buffer) => number) => {
  const fd = openStdout()
  return (bytes) => fs.writeSync(fd, bytes)
}

/** From now on a failed write of Node's own to stdout or stderr (a help text, a last error) does not end the process. */
export const ignoreOutputErrors = (): void => {
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {})
}
