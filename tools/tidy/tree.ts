// The files that the tidy rules look at: everything a reader of the repository sees, without what is installed,
// generated or kept by git. A rule is a function from these files to violations, so a test can hand it a planted tree.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

export interface SourceFile {
  /** Relative to the root, with forward slashes on every platform. */
  readonly path: string;
  readonly text: string;
}

export interface Violation {
  readonly path: string;
  readonly line: number;
  readonly rule: string;
  readonly message: string;
}

const skipped = new Set(["node_modules", ".git", ".atoll", ".cache", "package-lock.json"]);
const textEndings = /\.(ts|js|mjs|cjs|json|jsonc|md|html|css|did|mo|wat|cmd|yml|yaml|txt)$|(^|\/)[^./]+$/;

export function readTree(root: string): SourceFile[] {
  return pathsIn(root, "")
    .filter((path) => textEndings.test(path))
    .sort()
    .map((path) => ({ path, text: readFileSync(join(root, path), "utf8") }));
}

function pathsIn(root: string, folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true })
    .filter(({ name }) => !skipped.has(name))
    .flatMap((entry) => {
      const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
      if (entry.isDirectory()) return pathsIn(root, path);
      return entry.isFile() ? [path] : [];
    });
}

/** AssemblyScript shares the ending of its files with TypeScript, not the grammar. */
export function isCode(path: string): boolean {
  return path.endsWith(".ts") && !path.includes("/assemblyscript/");
}

export function isTest(path: string): boolean {
  return /(^|\/)test\//.test(path) || path.endsWith(".test.ts");
}

/** The package that a file of `packages/*` or `apps/*` belongs to: "packages/types". */
export function folderOf(path: string): string | undefined {
  return /^(?:packages|apps)\/[^/]+/.exec(path)?.[0];
}

export function lineAt(text: string, offset: number): number {
  return text.slice(0, offset).split("\n").length;
}
