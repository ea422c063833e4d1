import { orderRepositoryContract } from "../../../src/testing/OrderRepositoryContract.ts"
import * as TestPostgres from "../../TestPostgres.ts"

orderRepositoryContract("PostgreSQL", TestPostgres.layer, TestPostgres.setDatabaseClock)
