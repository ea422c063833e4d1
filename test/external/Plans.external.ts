import { plansContract } from "../infrastructure/postgres/plansContract.ts"

plansContract(1_000_000, 200_000)
