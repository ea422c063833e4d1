import { auditContract } from "./AuditContract.ts"
import { cancelContract } from "./CancelContract.ts"
import { claimContract } from "./ClaimContract.ts"
import { deadLetterStoreContract as deadLettersContract } from "./DeadLetterStoreContract.ts"
import { failureGroupContract } from "./FailureGroupContract.ts"
import { groupContract } from "./GroupContract.ts"
import { keyContract } from "./KeyContract.ts"
import { listContract } from "./ListContract.ts"
import { orderReadsContract as readsContract } from "./OrderReadsContract.ts"
import { pauseContract } from "./PauseContract.ts"
import { runContract } from "./RunContract.ts"
import { settleContract } from "./SettleContract.ts"
import type { StoreContract } from "./StoreScenario.ts"
import { submitContract } from "./SubmitContract.ts"
import { submitKeyedContract } from "./SubmitKeyedContract.ts"
import { typeContract } from "./TypeContract.ts"
import { upkeepStoreContract } from "./UpkeepStoreContract.ts"
import { whyWaitingContract } from "./WhyWaitingContract.ts"
import { workersContract } from "./WorkersContract.ts"

/** What every `IntakeStore` must do. */
export const intakeStoreContract: StoreContract = (...adapter) => {
  submitContract(...adapter)
  submitKeyedContract(...adapter)
}

/** What every `WorkStore` must do. */
export const workStoreContract: StoreContract = (...adapter) => {
  claimContract(...adapter)
  typeContract(...adapter)
  keyContract(...adapter)
  groupContract(...adapter)
  settleContract(...adapter)
  workersContract(...adapter)
}

/** What every `DeadLetterStore` must do. */
export const deadLetterStoreContract: StoreContract = (...adapter) => {
  deadLettersContract(...adapter)
  failureGroupContract(...adapter)
}

/** What every `ControlStore` must do. */
export const controlStoreContract: StoreContract = (...adapter) => {
  cancelContract(...adapter)
  runContract(...adapter)
  pauseContract(...adapter)
  auditContract(...adapter)
}

/** What every `OrderReads` must do. */
export const orderReadsContract: StoreContract = (...adapter) => {
  readsContract(...adapter)
  listContract(...adapter)
  whyWaitingContract(...adapter)
}

export { upkeepStoreContract }

/** What the stores of every adapter must do: each adapter runs these suites unchanged. */
export const storesContract: StoreContract = (...adapter) => {
  intakeStoreContract(...adapter)
  workStoreContract(...adapter)
  deadLetterStoreContract(...adapter)
  controlStoreContract(...adapter)
  orderReadsContract(...adapter)
  upkeepStoreContract(...adapter)
}
