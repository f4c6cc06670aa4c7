// What all commands need of a command line: options that are understood or told to be wrong in one sentence, with the code
// USAGE, which `main.ts` prints.
import { type ParseArgsConfig, parseArgs } from "node:util";
import { EnvironmentError } from "@atoll/types";

/** As `parseArgs`; throws EnvironmentError USAGE. */
export function parseOptions<T extends ParseArgsConfig>(config: T): ReturnType<typeof parseArgs<T>> {
  try {
    return parseArgs(config);
  } catch (error) {
    const [sentence = ""] = (error as Error).message.split(/\.?\s*(?:\n|\.\s|$)/);
    const [, unclear] = /^Option '(.+)' argument is ambiguous$/.exec(sentence) ?? [];
    if (unclear !== undefined)
      throw wrong(`${unclear} needs a value; one that begins with a dash is given as ${unclear}=VALUE.`);
    throw wrong(`${sentence}.`);
  }
}

export function wrong(message: string): EnvironmentError {
  return new EnvironmentError("USAGE", `${message} "atoll --help" shows what can be said.`);
}

/** A whole number that an option gives; `otherwise` when it was not given. */
export function numberOf(
  option: string,
  text: string | undefined,
  { min, max, otherwise }: { readonly min: number; readonly max: number; readonly otherwise: number },
): number {
  if (text === undefined) return otherwise;
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < min || value > max)
    throw wrong(`--${option} must be a whole number from ${min} to ${max}, not "${text.slice(0, 40)}".`);
  return value;
}

/** An option that must be given and not be empty. */
export function required(option: string, text: string | undefined, what: string): string {
  if (text === undefined || text === "") throw wrong(`--${option} needs ${what}.`);
  return text;
}
