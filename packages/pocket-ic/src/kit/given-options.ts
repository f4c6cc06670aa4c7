// What a test gives the kit, checked by name before it is used. Node and Vitest run TypeScript without checking it, so
// that a misspelt option would count as one left out: a budget that is never exceeded, a day that does not pass. Here it
// is an error that names what there is.

/** All fields of `T`; the compiler sees to it that none is missing. */
export type FieldsOf<T> = { readonly [Field in keyof Required<T>]: true };

/** Throws TypeError for what is no plain object, and for fields that it cannot have. */
export function checkOptions<T>(what: string, given: T, fields: FieldsOf<T>): void {
  const names = Object.keys(fields);
  // Also of another realm, as in Jest.
  if (Object.prototype.toString.call(given) !== "[object Object]")
    throw new TypeError(`${what} takes an object with ${list(names)}, not ${described(given)}`);
  for (const name of Object.keys(given as object)) {
    if (!Object.hasOwn(fields, name)) throw new TypeError(`${what} takes no "${name}"; there is: ${list(names)}`);
  }
}

/** Throws TypeError unless it is one of `choices`. */
export function checkChoice(what: string, given: unknown, choices: readonly string[]): void {
  if (choices.includes(given as string)) return;
  throw new TypeError(`${described(given)} is not ${what}; there is: ${list(choices)}`);
}

function described(given: unknown): string {
  if (typeof given === "string") return JSON.stringify(given);
  if (typeof given === "object" && given !== null && !(given instanceof RegExp)) return `an ${kindOf(given)}`;
  return `${String(given)}`;
}

function kindOf(given: object): string {
  return Array.isArray(given) ? "array" : "object of another kind";
}

function list(names: readonly string[]): string {
  return names.join(", ");
}
