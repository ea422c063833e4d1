import { storesContract } from "../../../src/testing/StoresContract.ts"
import * as TestPostgres from "../../TestPostgres.ts"

storesContract("PostgreSQL", TestPostgres.layer, TestPostgres.setDatabaseClock)
