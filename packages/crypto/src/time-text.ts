// Times in error texts, as the replica writes them: clients parse nothing in there, people do.
import { NS_PER_SECOND, type Time } from "@atoll/types";

/** `2025-05-01 23:55:18.005285297 UTC`: no, 3, 6 or 9 digits after the second, as many as are needed. */
export function formatTime(time: Time): string {
  if (time >= 1n << 63n) return `${time}ns`;
  const seconds = time / NS_PER_SECOND;
  const iso = new Date(Number(seconds) * 1000).toISOString();
  const digits = String(time % NS_PER_SECOND).padStart(9, "0");
  const fraction = digits.replace(/(000)+$/, "");
  return `${iso.slice(0, -5).replace("T", " ")}${fraction === "" ? "" : `.${fraction}`} UTC`;
}
