import { orderRepositoryContract } from "../../application/ports/orderRepositoryContract.ts"
import * as TestPostgres from "../../TestPostgres.ts"

orderRepositoryContract("PostgreSQL", TestPostgres.layer, TestPostgres.setDatabaseClock)
