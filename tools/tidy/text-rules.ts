// Rules for how the tree reads: names that say what a file is, an opening comment, a README for each package that
// tells where to enter and what it does not own, nothing that is true only on one machine, and package.json files that
// name exactly what is imported.
import { importedPackages } from "./code-rules.ts";
import { layers } from "./layers.ts";
import { isCode, type SourceFile, type Violation } from "./tree.ts";

const maxReadmeLines = 40;
const readmeHeadings = ["Owns", "Does not own", "Enter at", "Invariants", "How tested"];

const bannedWords = new Set(["util", "utils", "helper", "helpers", "common", "manager", "managers", "misc"]);
// Written in two parts so that this file passes its own rule.
const machinePath = new RegExp(`(^|[\\s"'\`(=:])/${"(home|work|root)"}/`);

export function checkText(files: readonly SourceFile[]): Violation[] {
  return [
    ...files.flatMap(checkName),
    ...files.flatMap(checkMachinePaths),
    ...files.filter((file) => isCode(file.path)).flatMap(checkOpening),
    ...files.filter((file) => file.path.endsWith(".md")).flatMap(checkMarkedBlocks),
    ...checkPackages(files),
  ];
}

function checkName(file: SourceFile): Violation[] {
  const banned = file.path.split(/[/.-]/).find((word) => bannedWords.has(word.toLowerCase()));
  if (banned !== undefined) return [{ path: file.path, line: 1, rule: "name", message: `"${banned}" says nothing` }];
  const name = file.path.split("/").at(-1) ?? "";
  if (!isCode(name) || /^[a-z0-9]+(-[a-z0-9]+)*(\.(test|d))?\.ts$/.test(name)) return [];
  return [{ path: file.path, line: 1, rule: "name", message: "is not in kebab-case" }];
}

function checkMachinePaths(file: SourceFile): Violation[] {
  return file.text
    .split("\n")
    .flatMap((line, index) =>
      machinePath.test(line)
        ? [{ path: file.path, line: index + 1, rule: "machine-path", message: "names a path of one machine" }]
        : [],
    );
}

function checkOpening(file: SourceFile): Violation[] {
  const lines = openingCommentLines(file.text);
  // What a test or a small program is for often fits on one line; a source file has to say where it stands as well.
  const least = file.path.includes("/src/") ? 2 : 1;
  if (lines >= least && lines <= 8) return [];
  const message = `opens with ${lines} comment lines, not ${least} to 8`;
  return [{ path: file.path, line: 1, rule: "opening", message }];
}

function openingCommentLines(text: string): number {
  const lines = text.replace(/^#!.*\n/, "").split("\n");
  if (lines[0]?.startsWith("/*")) return lines.findIndex((line) => line.includes("*/")) + 1;
  const end = lines.findIndex((line) => !line.startsWith("//"));
  return end < 0 ? lines.length : end;
}

/** A block of code in a page that is marked with `<!-- test -->` and so is run by tools/docs.test.ts. */
interface MarkedBlock {
  readonly path: string;
  readonly line: number;
  readonly language: string;
  readonly code: string;
}

export function markedBlocks(file: SourceFile): MarkedBlock[] {
  const blocks = file.text.matchAll(/^<!-- test -->\n(?:```(\w*)\n([\s\S]*?)^```$)?/gm);
  return [...blocks].map(({ index, 1: language = "", 2: code = "" }) => {
    return { path: file.path, line: file.text.slice(0, index).split("\n").length, language, code };
  });
}

function checkMarkedBlocks(file: SourceFile): Violation[] {
  return markedBlocks(file)
    .filter(({ language }) => language !== "ts" && language !== "sh")
    .map(({ path, line }) => ({ path, line, rule: "docs", message: "no ts or sh block follows the test mark" }));
}

function checkPackages(files: readonly SourceFile[]): Violation[] {
  const byPath = new Map(files.map((file) => [file.path, file.text]));
  const imported = importedPackages(files);
  return [...byPath.keys()].flatMap((path) => {
    const folder = /^((?:packages|apps)\/[^/]+)\/package\.json$/.exec(path)?.[1];
    if (folder === undefined) return [];
    const declared = Object.keys(JSON.parse(byPath.get(path) ?? "{}").dependencies ?? {});
    const readme = `${folder}/README.md`;
    return [
      ...checkDependencies(folder, declared, imported.get(folder) ?? new Set()),
      ...checkReadme(readme, byPath.get(readme)),
    ];
  });
}

function checkDependencies(folder: string, declared: readonly string[], imported: ReadonlySet<string>): Violation[] {
  const path = `${folder}/package.json`;
  const say = (message: string) => ({ path, line: 1, rule: "dependencies", message });
  const layer = [...layers.values()].find((each) => each.folder === folder);
  if (layer === undefined) return [say("is not in the table of layers (tools/tidy/layers.ts)")];
  const ours = [...imported].filter((name) => name.startsWith("@atoll/"));
  return [
    ...ours.filter((name) => !declared.includes(name)).map((name) => say(`does not name ${name}, which is imported`)),
    ...declared.filter((name) => !imported.has(name)).map((name) => say(`names ${name}, which is not imported`)),
  ];
}

function checkReadme(path: string, text: string | undefined): Violation[] {
  const say = (message: string) => ({ path, line: 1, rule: "readme", message });
  if (text === undefined) return [say("is missing")];
  const lines = text.trimEnd().split("\n").length;
  const headings = [...text.matchAll(/^#+ +(.+?) *$/gm)].map((match) => match[1]);
  return [
    ...(lines > maxReadmeLines ? [say(`has ${lines} lines, ${maxReadmeLines} are allowed`)] : []),
    ...readmeHeadings.filter((heading) => !headings.includes(heading)).map((heading) => say(`has no "${heading}"`)),
  ];
}
