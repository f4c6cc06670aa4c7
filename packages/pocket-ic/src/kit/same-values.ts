// Comparing and showing the values that Candid makes: numbers, texts, bytes, principals, lists and records of them.
// Test runners have functions of their own for it; these are the same in all of them, and know principals.
import { Principal } from "@icp-sdk/core/principal";

const MAX_SHOWN = 500;

export function isSame(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (isPrincipal(a) || isPrincipal(b)) return isPrincipal(a) && isPrincipal(b) && a.toText() === b.toText();
  const [listA, listB] = [listOf(a), listOf(b)];
  if (listA !== undefined || listB !== undefined) {
    if (listA?.length !== listB?.length || listA === undefined || listB === undefined) return false;
    return Array.prototype.every.call(listA, (item, i) => isSame(item, listB[i]));
  }
  const names = Object.keys(a);
  if (names.length !== Object.keys(b).length) return false;
  return names.every((name) => Object.hasOwn(b, name) && isSame(a[name as never], b[name as never]));
}

/** Lists of numbers are the same whether they come as an array or as typed one: `vec nat8` takes both. */
function listOf(value: object): ArrayLike<unknown> | undefined {
  if (Array.isArray(value)) return value;
  return ArrayBuffer.isView(value) && !(value instanceof DataView)
    ? (value as unknown as ArrayLike<unknown>)
    : undefined;
}

function isPrincipal(value: object): value is Principal {
  return Principal.isPrincipal(value);
}

/** As one would write it in a test. */
export function shown(value: unknown): string {
  const text = write(value, 8);
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text;
}

function write(value: unknown, depth: number): string {
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value !== "object" || value === null) return String(value);
  if (isPrincipal(value)) return `principal ${value.toText()}`;
  if (depth === 0) return "…";
  const list = listOf(value);
  if (list !== undefined) return `[${Array.from(list, (item) => write(item, depth - 1)).join(", ")}]`;
  const fields = Object.entries(value).map(([name, item]) => `${name}: ${write(item, depth - 1)}`);
  return fields.length === 0 ? "{}" : `{ ${fields.join(", ")} }`;
}
