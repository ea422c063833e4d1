import { Metric } from "effect"
import { counter, register, withLabel } from "../../concurrency/Measure.ts"

/** Orders announced by this process, by queue. */
export const announced = counter("order_queue_announced_total", "Orders announced")

/** Orders whose announcement failed, by queue; the next poll finds them. */
export const announceFailed = counter("order_queue_announce_failed_total", "Orders whose announcement failed")

/** Whether this process receives announcements of others. */
export const listenUp = Metric.gauge("order_queue_listen_up", {
  description: "1 while announcements are received"
})

/** Registers the counters of one kind of queue. */
export const registerAnnouncements = (queue: string) =>
  register(...withLabel(announced, "queue", [queue]), ...withLabel(announceFailed, "queue", [queue]))
