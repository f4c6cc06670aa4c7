// The official JavaScript client of PocketIC (npm package @dfinity/pic) for tests. It is no dependency of the project:
// its install script downloads the official binary. So it is installed here without scripts, once per version.
import { randomUUID } from "node:crypto";
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { npm } from "../npm.ts";

const PACKAGE = "@dfinity/pic";
const VERSION = "0.23.0";
const CACHE = fileURLToPath(new URL("../../../node_modules/.cache/atoll/pic-js/", import.meta.url));

/** The package as it exports itself; types are those of its documentation. */
export interface PicPackage {
  // biome-ignore lint/suspicious/noExplicitAny: another project's classes, checked by what they do
  readonly PocketIc: any;
  // biome-ignore lint/suspicious/noExplicitAny: as above
  readonly PocketIcServer: any;
  // biome-ignore lint/suspicious/noExplicitAny: as above
  readonly [name: string]: any;
}

/** Rejects with what npm said when there is no registry. */
export async function loadPic(): Promise<{ readonly pic: PicPackage; readonly require: NodeJS.Require }> {
  const require = createRequire(join(await installed(), "package.json"));
  return { pic: require(PACKAGE) as PicPackage, require };
}

/** The folder with the client in it; it appears by a rename, so it is whole or not there. */
async function installed(): Promise<string> {
  const folder = join(CACHE, VERSION);
  if (existsSync(folder)) return folder;
  const making = join(CACHE, randomUUID());
  mkdirSync(making, { recursive: true });
  try {
    writeFileSync(join(making, "package.json"), JSON.stringify({ name: "pic-client", private: true }));
    await npm(["install", "--ignore-scripts", `${PACKAGE}@${VERSION}`], making);
    if (!existsSync(folder)) renameSync(making, folder);
  } finally {
    rmSync(making, { recursive: true, force: true });
  }
  return folder;
}
