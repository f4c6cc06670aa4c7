// A file that an operator names: configuration, proposal, genesis and the like. What is wrong with it is said in one sentence
// that names it, before anything is read out of it.
import { readFileSync } from "node:fs";
import { EnvironmentError } from "@atoll/types";

/** UTF-8. `what`: how messages call the file, as "The configuration". Throws EnvironmentError with `code`. */
export function readTextFile(path: string, { what, code }: { readonly what: string; readonly code: string }): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const { code: cause } = error as NodeJS.ErrnoException;
    const why = cause === "ENOENT" ? "there is no such file" : `it cannot be read (${cause})`;
    throw new EnvironmentError(code, `${what} ${path}: ${why}.`, { cause: error });
  }
}
