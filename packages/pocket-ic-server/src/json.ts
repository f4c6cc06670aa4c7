// JSON as PocketIC's clients write and expect it: cycles and nanoseconds are bare numbers of any size. What does not
// fit into a double without loss is a bigint on this side, in both directions.

export type Json = null | boolean | number | bigint | string | readonly Json[] | { readonly [name: string]: Json };

/** Longer numbers are nothing that any field can hold, and turning one into a bigint takes quadratic time. */
const MAX_DIGITS = 64;
/** Only then can there be an integer that a double does not hold; the slow way is rarely needed. */
const MAY_BE_LARGE = /\d{16}/;
const INTEGER = /^-?\d+$/;

/** Throws SyntaxError or RangeError on what is not JSON, or nested or numbered beyond reason. */
export function readJson(text: string): Json {
  if (!MAY_BE_LARGE.test(text)) return JSON.parse(text) as Json;
  const lossless = (_key: string, value: unknown, { source }: { source?: string }): unknown => {
    if (typeof value !== "number" || Number.isSafeInteger(value) || source === undefined) return value;
    if (source.length > MAX_DIGITS) throw new RangeError("a number has too many digits");
    return INTEGER.test(source) ? BigInt(source) : value;
  };
  return JSON.parse(text, lossless as Parameters<typeof JSON.parse>[1]) as Json;
}

export function writeJson(value: Json): string {
  if (typeof value === "bigint") return value.toString();
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(writeJson).join(",")}]`;
  const fields = Object.entries(value as Readonly<Record<string, Json | undefined>>);
  return `{${fields
    .flatMap(([name, each]) => (each === undefined ? [] : [`${JSON.stringify(name)}:${writeJson(each)}`]))
    .join(",")}}`;
}
