import { Metric } from "effect"
import { counter, register, withLabel } from "../../concurrency/Measure.ts"

// The label `queue` is the kind of wake-up: `memory` or `postgres`.

/** Due orders that this process announced to workers, by queue. */
export const announced = counter("order_queue_announced_total", "Orders announced")

/** Orders whose announcement failed, by queue; the next poll finds them. */
export const announceFailed = counter("order_queue_announce_failed_total", "Orders whose announcement failed")

/** Whether this process receives announcements from other processes. */
export const listenUp = Metric.gauge("order_queue_listen_up", {
  description: "1 while this process listens for announcements of other processes, else 0"
})

/** Registers the counters of one kind of wake-up. */
export const registerAnnouncements = (queue: string) =>
  register(...withLabel(announced, "queue", [queue]), ...withLabel(announceFailed, "queue", [queue]))
