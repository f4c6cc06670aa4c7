// Repositories of other people whose tests are run and never kept: taken from a checkout or bare repository that an
// environment variable names, else cloned. Files come out of them by `git archive`, so the checkout stays untouched.
import { execFileSync } from "node:child_process";
import { existsSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { EnvironmentError } from "@atoll/types";

/** Where clones and what is made of them are kept. */
export const CACHE = fileURLToPath(new URL("../../.cache/interop/", import.meta.url));

export interface Checkout {
  readonly commit: string;
  /** One file as it is in the commit. */
  file(path: string): Uint8Array;
  /** Lays files and folders of the commit into an existing folder. */
  extract(paths: readonly string[], folder: string): void;
}

export function openCheckout(repository: string, variable: string): Checkout {
  const folder = process.env[variable] ?? cloned(repository, variable);
  const git = (...args: readonly string[]): Uint8Array => {
    try {
      return execFileSync("git", ["-C", folder, ...args], { maxBuffer: 256 * 1024 * 1024, stdio: "pipe" });
    } catch (error) {
      const message = `${folder} is no usable repository of ${repository}; set ${variable} to a checkout of it.`;
      throw new EnvironmentError("NOT_AVAILABLE", message, { cause: error });
    }
  };
  return {
    commit: new TextDecoder().decode(git("rev-parse", "HEAD")).trim(),
    file: (path) => git("show", `HEAD:${path}`),
    extract(paths, into) {
      execFileSync("tar", ["-x", "-C", into], { input: git("archive", "HEAD", ...paths) });
    },
  };
}

function cloned(repository: string, variable: string): string {
  const folder = join(CACHE, basename(repository));
  if (existsSync(folder)) return folder;
  try {
    execFileSync("git", ["clone", "--quiet", "--depth", "1", repository, folder], { timeout: 300_000, stdio: "pipe" });
    return folder;
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    const message = `${repository} could not be cloned; set ${variable} to a checkout of it.`;
    throw new EnvironmentError("NOT_AVAILABLE", message, { cause: error });
  }
}
