import { Layer } from "effect"
import { SecureRandom } from "effect/crypto"

/** How many random bytes are asked of the system at a time: asked for the sixteen of each id, it took 8 % of a busy main thread. */
const pooled = 4096

/** Secure random bytes from a pool, each given out once. */
const randomBytesOf = (fill: (bytes: Uint8Array<ArrayBuffer>) => unknown) => {
  const pool = new Uint8Array(pooled)
  let used = pooled
  return (size: number): Uint8Array => {
    if (size > pooled) {
      const bytes = new Uint8Array(size)
      fill(bytes)
      return bytes
    }
    if (used + size > pooled) {
      fill(pool)
      used = 0
    }
    used += size
    return pool.slice(used - size, used)
  }
}

/** `SecureRandom` from the platform's own source, by the pool. */
export const layerPooledRandom = Layer.sync(SecureRandom.SecureRandom, () =>
  SecureRandom.make(randomBytesOf((bytes) => globalThis.crypto.getRandomValues(bytes)))
)
