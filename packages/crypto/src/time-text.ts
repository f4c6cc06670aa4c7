// Times in error texts, as the replica writes them: clients parse nothing in there, people do. The calendar is computed
// here, because a deterministic package has no Date.
import { NS_PER_SECOND, type Time } from "@atoll/types";

/** `2025-05-01 23:55:18.005285297 UTC`: no, 3, 6 or 9 digits after the second, as many as are needed. */
export function formatTime(time: Time): string {
  if (time >= 1n << 63n) return `${time}ns`;
  const seconds = Number(time / NS_PER_SECOND);
  const { year, month, day } = calendarDate(Math.floor(seconds / 86_400));
  const clock = [seconds / 3600, seconds / 60, seconds].map((value, i) => Math.floor(value) % (i === 0 ? 24 : 60));
  const fraction = String(time % NS_PER_SECOND)
    .padStart(9, "0")
    .replace(/(000)+$/, "");
  const date = `${String(year).padStart(4, "0")}-${twoDigits(month)}-${twoDigits(day)}`;
  return `${date} ${clock.map(twoDigits).join(":")}${fraction === "" ? "" : `.${fraction}`} UTC`;
}

function twoDigits(value: number): string {
  return String(value).padStart(2, "0");
}

// Years are counted from March, so that the leap day comes last, in cycles of 400 years (146,097 days).
function calendarDate(daysSince1970: number): { year: number; month: number; day: number } {
  const days = daysSince1970 + 719_468;
  const cycle = Math.floor(days / 146_097);
  const inCycle = days % 146_097;
  const leaps = Math.floor(inCycle / 1460) - Math.floor(inCycle / 36_524) + Math.floor(inCycle / 146_096);
  const yearInCycle = Math.floor((inCycle - leaps) / 365);
  const inYear = inCycle - (365 * yearInCycle + Math.floor(yearInCycle / 4) - Math.floor(yearInCycle / 100));
  const fromMarch = Math.floor((5 * inYear + 2) / 153);
  const day = inYear - Math.floor((153 * fromMarch + 2) / 5) + 1;
  const month = fromMarch < 10 ? fromMarch + 3 : fromMarch - 9;
  return { year: cycle * 400 + yearInCycle + (month <= 2 ? 1 : 0), month, day };
}
