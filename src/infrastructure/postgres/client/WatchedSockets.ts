import { Duration, Effect } from "effect"
import * as Net from "node:net"

/**
 * The interval between two checks of the sockets. Time is counted in checks, so that the time in which the process was
 * frozen does not count.
 */
const checkMillis = 250

/**
 * After this many checks without a response on one connection, idle connections that received nothing during
 * these checks are closed.
 */
const suspectAfter = 4

const code = (letter: string) => letter.charCodeAt(0)
const readyForQuery = code("Z")
const commandComplete = code("C")

/** How many bytes of each message are inspected: its type, its length, and the first byte of its content. */
const headBytes = 6

class WatchedSocket extends Net.Socket {
  /** Checks since the last request or part of a response; null if no response is outstanding. */
  waiting: number | null = null
  /** Checks since it last received anything. */
  unheard = 0
  /** Whether it is in no transaction and does not listen for notifications. */
  isIdle = false

  #listens = false
  /** The first bytes of the current message, and how many have arrived. */
  readonly #head = Buffer.alloc(headBytes)
  #headed = 0
  /** The number of remaining bytes of the current message, which are skipped. */
  #toSkip = 0

  override _write(...args: Parameters<Net.Socket["_write"]>): void {
    this.waiting ??= 0
    super._write(...args)
  }
  override _writev(...args: Parameters<NonNullable<Net.Socket["_writev"]>>): void {
    this.waiting ??= 0
    super._writev?.(...args)
  }
  override push(chunk: unknown, encoding?: BufferEncoding): boolean {
    this.unheard = 0
    if (this.waiting !== null) this.waiting = 0
    if (chunk instanceof Uint8Array) this.#follow(chunk)
    return super.push(chunk, encoding)
  }

  // Source: PostgreSQL documentation, "Message Formats". These connections send a statement only after the response to
  // the previous one, so that no response is outstanding once the server is ready.
  #follow(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length;) {
      if (this.#toSkip > 0) {
        const skipped = Math.min(this.#toSkip, chunk.length - at)
        this.#toSkip -= skipped
        at += skipped
        continue
      }
      this.#head[this.#headed++] = chunk[at++] ?? 0
      const length = this.#headed >= 5 ? this.#head.readInt32BE(1) : Infinity
      // A message without content ends with its length.
      if (this.#headed < Math.min(headBytes, 1 + length)) continue
      this.#toSkip = Math.max(0, 1 + length - this.#headed)
      this.#headed = 0
      this.#heard(this.#head[0], length, this.#head[5])
    }
  }

  #heard(type: number | undefined, length: number, first: number | undefined): void {
    // LISTEN is the only command of six letters that begins with L. A connection that has listened is never idle.
    if (type === commandComplete && length === 4 + "LISTEN\0".length && first === code("L"))
      this.#listens = true
    if (type !== readyForQuery) return
    this.waiting = null
    this.isIdle = first === code("I") && !this.#listens
  }
}

/**
 * Makes and watches the sockets of one pool. A network may drop packets silently, for example after the
 * failure of a firewall or a machine. If the sockets were not watched, one call for each connection of the
 * pool would then wait until its time limit. Once a response on one connection takes longer than a second,
 * the idle connections that received nothing during that second are closed, and the pool replaces them.
 * Connections that are in a transaction, listen, or are paused are not idle. Any connection that waits longer
 * than `answerWithin` for a response is closed, too. `answerWithin` is longer than the statement timeout of
 * the server.
 */
export const watchedSockets = Effect.fnUntraced(function* (
  { host, port }: { readonly host: string; readonly port: number },
  answerWithin: Duration.Duration
) {
  const sockets = new Set<WatchedSocket>()
  const maxChecks = Duration.toMillis(answerWithin) / checkMillis

  const checkOnce = () => {
    let isSuspect = false
    for (const socket of sockets) {
      // A paused socket receives nothing, because its reader is still busy with earlier data.
      if (socket.isPaused()) continue
      socket.unheard++
      if (socket.waiting !== null && ++socket.waiting === suspectAfter) isSuspect = true
    }
    for (const socket of sockets) {
      const { isIdle, unheard, waiting } = socket
      if (waiting === null ? isSuspect && isIdle && unheard >= suspectAfter : waiting > maxChecks)
        socket.destroy()
    }
  }
  // A timer of Node, because sockets run in real time even if the program's Clock is virtual.
  yield* Effect.acquireRelease(
    Effect.sync(() => setInterval(checkOnce, checkMillis).unref()),
    (timer) => Effect.sync(() => clearInterval(timer))
  )

  return (): Net.Socket => {
    const socket = new WatchedSocket()
    sockets.add(socket)
    socket.on("close", () => sockets.delete(socket))
    socket.setNoDelay(true)
    // With TCP keepalive the kernel detects dead idle connections.
    socket.setKeepAlive(true, 10_000)
    return socket.connect({ host, port })
  }
})
