import { defineConfig } from "vitest/config"
import base from "./vitest.config.ts"

/** Tests that need programs which npm cannot bring; CI installs them and runs these as well. */
export default defineConfig({ ...base, test: { ...base.test, include: ["test/external/**/*.external.ts"] } })
