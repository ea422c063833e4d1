export { newOrder } from "../src/testing/NewOrders.ts"
