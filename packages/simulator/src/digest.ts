// A short mark of any plain value, the same for equal values whatever the order of their fields: to compare what nodes execute
// without keeping it.
import { markOf } from "./event-log.ts";

const encoder = new TextEncoder();

export function digestOf(value: unknown): string {
  return markOf(encoder.encode(textOf(value)));
}

function textOf(value: unknown): string {
  if (value instanceof Uint8Array) return `b${value.length}:${markOf(value)}`;
  if (Array.isArray(value)) return `[${value.map(textOf).join(",")}]`;
  if (value instanceof Map)
    return `m${textOf([...value].map(([key, each]) => `${textOf(key)}${textOf(each)}`).sort())}`;
  if (value instanceof Set) return `s${textOf([...value].map(textOf).sort())}`;
  if (typeof value !== "object" || value === null) return `${typeof value}${String(value)}`;
  const fields = Object.entries(value).filter(([, each]) => each !== undefined);
  return `{${fields
    .map(([name, each]) => `${name}=${textOf(each)}`)
    .sort()
    .join(";")}}`;
}
