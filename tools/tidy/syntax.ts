// What the tidy rules need to know of a TypeScript file: its imports, its functions with their lengths, the globals it
// names, and where it waits. Taken from the syntax tree, so that comments and strings never raise a false alarm.
import { type Node, parseSync } from "oxc-parser";
import { lineAt, type SourceFile } from "./tree.ts";

export interface Found {
  readonly name: string;
  readonly line: number;
}

export interface Syntax {
  /** Module specifiers of imports, re-exports and `import()`. */
  readonly imports: readonly Found[];
  /** Identifiers in value or type position, and dotted names of two parts such as "Math.random". */
  readonly names: readonly Found[];
  readonly functions: readonly (Found & { readonly lines: number })[];
  /** `await`, `for await` and `import()`. */
  readonly waits: readonly Found[];
}

type Tree = Node & { readonly [field: string]: unknown };

export function syntaxOf(file: SourceFile): Syntax {
  const parsed = parseSync(file.path, file.text);
  const error = parsed.errors[0];
  if (error !== undefined) throw new Error(`${file.path} does not parse: ${error.message}`);
  const syntax = {
    imports: [] as Found[],
    names: [] as Found[],
    functions: [] as Syntax["functions"][number][],
    waits: [] as Found[],
  };
  const line = (node: Tree) => lineAt(file.text, node.start);
  visit(parsed.program as unknown as Tree, (node, parent) => {
    const source = literal(node.source);
    if (source !== undefined) syntax.imports.push({ name: source, line: line(node) });
    if (node.type === "Identifier" && !isLabel(node, parent)) syntax.names.push({ name: node.name, line: line(node) });
    const dotted = dottedName(node);
    if (dotted !== undefined) syntax.names.push({ name: dotted, line: line(node) });
    const waits = node.type === "AwaitExpression" || node.type === "ImportExpression";
    if (waits || (node.type === "ForOfStatement" && node.await))
      syntax.waits.push({ name: node.type, line: line(node) });
    if (/^(FunctionDeclaration|FunctionExpression|ArrowFunctionExpression)$/.test(node.type)) {
      const lines = lineAt(file.text, node.end) - line(node) + 1;
      syntax.functions.push({ name: functionName(node, parent), line: line(node), lines });
    }
  });
  return syntax;
}

function visit(node: Tree, see: (node: Tree, parent: Tree | undefined) => void, parent?: Tree): void {
  see(node, parent);
  for (const value of Object.values(node)) {
    for (const child of Array.isArray(value) ? value : [value]) {
      if (typeof child?.type === "string") visit(child, see, node);
    }
  }
}

function literal(value: unknown): string | undefined {
  const node = value as { type?: string; value?: unknown } | null | undefined;
  return node?.type === "Literal" && typeof node.value === "string" ? node.value : undefined;
}

/** The name of a member, a key or a label stands for itself and not for a global. */
function isLabel(node: Tree, parent: Tree | undefined): boolean {
  if (parent === undefined || parent.computed === true) return false;
  return parent.property === node || (parent.key === node && parent.value !== node) || parent.label === node;
}

function dottedName(node: Tree): string | undefined {
  if (node.type !== "MemberExpression" || node.property.type !== "Identifier" || node.computed) return undefined;
  const owner = node.object.type === "Identifier" ? node.object.name : "";
  return `${owner}.${node.property.name}`;
}

function functionName(node: Tree, parent: Tree | undefined): string {
  const own = node.id ?? parent?.key ?? parent?.id;
  return (own as { name?: string } | null | undefined)?.name ?? "(anonymous)";
}
