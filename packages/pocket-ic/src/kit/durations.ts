// Times and spans of time as a test writes them. The time of the network itself is in ns since 1970, as in `ic0.time`.
// Spans come in the units of daily life, since "after three days" is what a test wants to say.
import type { Time } from "@atoll/types";
import { checkOptions, type FieldsOf } from "./given-options.ts";

/** The parts add up. */
export interface Duration {
  readonly days?: number;
  readonly hours?: number;
  readonly minutes?: number;
  readonly seconds?: number;
  readonly milliseconds?: number;
  readonly nanoseconds?: bigint;
}

/** ns since 1970, or a `Date`. */
export type Moment = Time | { getTime(): number };

const MS = { days: 86_400_000, hours: 3_600_000, minutes: 60_000, seconds: 1000, milliseconds: 1 } as const;
const FIELDS: FieldsOf<Duration> = {
  days: true,
  hours: true,
  minutes: true,
  seconds: true,
  milliseconds: true,
  nanoseconds: true,
};
const NS_PER_MS = 1_000_000;

/** ns. Throws RangeError for a span that is negative or not a number, TypeError for units that there are not. */
export function spanNs(duration: Duration): bigint {
  checkOptions("a span of time", duration, FIELDS);
  let ns = duration.nanoseconds ?? 0n;
  for (const unit of ["days", "hours", "minutes", "seconds", "milliseconds"] as const) {
    const count = duration[unit] ?? 0;
    if (!(count >= 0 && count < 1e12)) throw new RangeError(`${count} ${unit} is not a span of time`);
    // Whole milliseconds apart, so that long spans are exact.
    const ms = count * MS[unit];
    const whole = Math.floor(ms);
    ns += BigInt(whole) * BigInt(NS_PER_MS) + BigInt(Math.round((ms - whole) * NS_PER_MS));
  }
  if (ns < 0n) throw new RangeError(`${ns} ns is not a span of time`);
  return ns;
}

/** Throws RangeError for a `Date` that is none, TypeError for what is neither a `Date` nor ns. */
export function momentNs(moment: Moment): Time {
  if (typeof moment === "bigint") return moment;
  if (typeof moment?.getTime !== "function")
    throw new TypeError(`${String(moment)} is no moment: give a Date, or ns since 1970 as a bigint`);
  const ms = moment.getTime();
  if (!Number.isFinite(ms)) throw new RangeError("not a date");
  return BigInt(Math.round(ms)) * BigInt(NS_PER_MS);
}
