import { plansContract } from "./plansContract.ts"

plansContract(60_000, 20_000)
