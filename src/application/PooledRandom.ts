import { Layer } from "effect"
import { SecureRandom } from "effect/crypto"

/** How many random bytes are asked of the system at a time: it takes about as long for these as for the sixteen of an id. */
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

/** `SecureRandom` of the platform's own source, a fraction of its price for ids: for what keeps no secret by them. */
export const layerPooledRandom = Layer.sync(SecureRandom.SecureRandom, () =>
  SecureRandom.make(randomBytesOf((bytes) => globalThis.crypto.getRandomValues(bytes)))
)
