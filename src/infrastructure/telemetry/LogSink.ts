/** Bytes of lines that wait while a pipe is full; further lines are lost. */
const maxWaitingBytes = 1_048_576

/** How soon a full pipe is tried again. */
const fullRetryMs = 20

/** How soon a log that cannot be written is tried again; lines until then are lost. */
const brokenRetryMs = 1000

interface Entry {
  readonly bytes: Buffer
  /** How many log lines are lost with it. */
  readonly lines: number
  /** Its beginning has been written. */
  readonly isCut?: boolean
}

/**
 * Writes log lines so that logging neither blocks nor ends the process, whatever becomes of its output: a reader that is
 * slow, a reader that is gone, a full disk, a closed terminal. Lines that cannot be written are lost and counted; the
 * count is logged as soon as lines can be written again.
 */
export class LogSink {
  readonly #write: (bytes: Buffer) => number
  readonly #lossLine: (lost: number) => string
  #waiting: Array<Entry> = []
  #waitingBytes = 0
  #lost = 0
  /** Only the beginning of a line was written before the log broke. */
  #isCut = false
  #isBroken = false
  #retry: NodeJS.Timeout | undefined

  /** `write` writes without blocking and returns how many bytes it took; it throws what `fs.writeSync` throws. */
  constructor(write: (bytes: Buffer) => number, lossLine: (lost: number) => string) {
    this.#write = write
    this.#lossLine = lossLine
  }

  /** Whether no line is waiting. */
  get isEmpty(): boolean {
    return this.#waiting.length === 0
  }

  /** Writes the line, or keeps it for later, or loses it. */
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
