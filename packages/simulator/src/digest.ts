// A short mark of any plain value, the same for equal values whatever the order of their fields: to compare what nodes execute
// without keeping it.
import { markOf, markOfText } from "./event-log.ts";

export function digestOf(value: unknown): string {
  return markOfText(textOf(value));
}

function textOf(value: unknown): string {
  if (typeof value !== "object" || value === null) return `${typeof value}${String(value)}`;
  if (value instanceof Uint8Array) return `b${value.length}:${markOf(value)}`;
  if (Array.isArray(value)) return value.length === 0 ? "[]" : `[${value.map(textOf).join(",")}]`;
  if (value instanceof Map)
    return `m${textOf([...value].map(([key, each]) => `${textOf(key)}${textOf(each)}`).sort())}`;
  if (value instanceof Set) return `s${textOf([...value].map(textOf).sort())}`;
  let text = "{";
  for (const name of Object.keys(value).sort()) {
    const each = (value as Record<string, unknown>)[name];
    if (each !== undefined) text += `${name}=${textOf(each)};`;
  }
  return `${text}}`;
}
