// Which files a Motoko program consists of: the main file and, transitively, what it imports by relative path
// (modules, and text embedded with "blob:file:"). The compiler process gets these files and no others, and their
// contents are the cache key. A path that is named only in a comment is harmless; one that is missing on disk is left
// out, so that the compiler itself complains, with a position.

import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname, relative, resolve, sep } from "node:path";

export interface SourceSet {
  /** The main file's path in the compiler's own file system. */
  readonly main: string;
  /** Path in that file system -> text. Paths do not depend on where the project lies. */
  readonly files: Readonly<Record<string, string>>;
}

const IMPORT = /\bimport\b[^"\n;]*(?:\{[^}"]*\}[^"\n;]*)?"([^"]+)"/g;
const EMBEDDED = "blob:file:";
const SCHEME = /^[a-z]+:/;

export function collectSources(main: string, virtual: ReadonlyMap<string, string> = new Map()): SourceSet {
  const mainPath = resolve(main);
  const texts = new Map<string, string>();
  visit(mainPath, true);
  const root = commonFolder([...texts.keys()]);
  const files: Record<string, string> = {};
  for (const [path, text] of [...texts].sort(([a], [b]) => (a < b ? -1 : 1))) files[inside(root, path)] = text;
  return { main: inside(root, mainPath), files };

  function visit(path: string, isMotoko: boolean): void {
    if (texts.has(path)) return;
    const text = virtual.get(path) ?? readFileSync(path, "utf8");
    texts.set(path, text);
    if (!isMotoko) return;
    for (const match of text.matchAll(IMPORT)) {
      const target = locate(path, match[1] ?? "");
      if (target !== null && (virtual.has(target.path) || isFile(target.path))) visit(target.path, target.isMotoko);
    }
  }
}

function locate(importer: string, url: string): { path: string; isMotoko: boolean } | null {
  const folder = dirname(importer);
  if (url.startsWith(EMBEDDED)) return { path: resolve(folder, url.slice(EMBEDDED.length)), isMotoko: false };
  if (SCHEME.test(url)) return null; // mo:core/…, canister:…, ic:…
  const path = resolve(folder, url);
  return { path: isFile(path) ? path : isFolder(path) ? resolve(path, "lib.mo") : `${path}.mo`, isMotoko: true };
}

function isFile(path: string): boolean {
  return existsSync(path) && statSync(path).isFile();
}

function isFolder(path: string): boolean {
  return existsSync(path) && statSync(path).isDirectory();
}

function commonFolder(paths: readonly string[]): string {
  const [first = "", ...rest] = paths.map((path) => dirname(path).split(sep));
  let length = first.length;
  for (const parts of rest) {
    while (length > 0 && parts.slice(0, length).join(sep) !== [...first].slice(0, length).join(sep)) length -= 1;
  }
  return [...first].slice(0, length).join(sep) || sep;
}

function inside(root: string, path: string): string {
  return `/source/${relative(root, path).split(sep).join("/")}`;
}
