/** The maximum number of bytes that wait while a pipe is full. Further lines are lost. */
const maxWaitingBytes = 1_048_576

/** The delay before a full pipe is written to again, in milliseconds. */
const fullRetryMs = 20

/** The delay before a failed output is written to again, in milliseconds. Lines until then are lost. */
const brokenRetryMs = 1000

interface Entry {
  readonly bytes: Buffer
  /** The number of log lines that are lost if this entry is not written. */
  readonly lines: number
  /** Whether the beginning of the entry has been written, so that `bytes` is only the rest. */
  readonly isCut?: boolean
}

/**
 * Writes log lines so that logging neither blocks nor ends the process, even if the reader is slow or has exited, the
 * disk is full, or the terminal is closed. Lines that cannot be written are lost and counted. The count is logged as
 * soon as lines can be written again.
 */
export class LogSink {
  readonly #write: (bytes: Buffer) => number
  readonly #lossLine: (lost: number) => string
  #waiting: Array<Entry> = []
  #waitingBytes = 0
  #lost = 0
  /** Whether only the beginning of a line was written before the output failed. */
  #isCut = false
  #isBroken = false
  #retry: NodeJS.Timeout | undefined

  /** `write` must not block. It returns the number of bytes written, or throws as `fs.writeSync` does. */
  constructor(write: (bytes: Buffer) => number, lossLine: (lost: number) => string) {
    this.#write = write
    this.#lossLine = lossLine
  }

  /** Whether no line is waiting. */
  get isEmpty(): boolean {
    return this.#waiting.length === 0
  }

  /** Writes the line, queues it, or counts it as lost. */
  readonly log = (line: string): void => {
    const bytes = Buffer.from(`${line}\n`)
    if (this.#isBroken || this.#waitingBytes + bytes.length > maxWaitingBytes) {
      this.#lost++
      return
    }
    this.#add({ bytes, lines: 1 })
    if (this.#retry === undefined) this.#writeWaiting()
  }

  #add(entry: Entry) {
    this.#waiting.push(entry)
    this.#waitingBytes += entry.bytes.length
  }

  #writeWaiting() {
    try {
      this.#writeAll()
      if (this.#lost > 0) {
        const entry = { bytes: Buffer.from(`${this.#lossLine(this.#lost)}\n`), lines: this.#lost }
        this.#lost = 0
        this.#add(entry)
        this.#writeAll()
      }
    } catch (error) {
      if (isFull(error)) this.#retryIn(fullRetryMs)
      else this.#break()
    }
  }

  #writeAll() {
    if (this.#isCut && this.#waiting.length > 0) {
      this.#write(newline)
      this.#isCut = false
    }
    let written = 0
    try {
      for (let entry = this.#waiting[written]; entry !== undefined; entry = this.#waiting[written]) {
        const taken = this.#write(entry.bytes)
        this.#waitingBytes -= taken
        if (taken === entry.bytes.length) written++
        else this.#waiting[written] = { ...entry, bytes: entry.bytes.subarray(taken), isCut: true }
      }
    } finally {
      this.#waiting.splice(0, written)
    }
  }

  #break() {
    this.#isCut ||= this.#waiting[0]?.isCut === true
    this.#lost += this.#waiting.reduce((sum, { lines }) => sum + lines, 0)
    this.#waiting = []
    this.#waitingBytes = 0
    this.#isBroken = true
    this.#retryIn(brokenRetryMs)
  }

  #retryIn(ms: number) {
    this.#retry = setTimeout(() => {
      this.#retry = undefined
      this.#isBroken = false
      this.#writeWaiting()
    }, ms).unref()
  }
}

const newline = Buffer.from("\n")

const isFull = (error: unknown): boolean =>
  error instanceof Error && "code" in error && (error.code === "EAGAIN" || error.code === "EWOULDBLOCK")
