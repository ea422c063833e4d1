import { idleContract } from "../processes/idleContract.ts"

idleContract(60)
