// The language of the scripts: one command a line, its parts separated by white space, arguments as text with escapes
// or as hex. What does not parse ends a script, as in the suite's own runner.

export type Command =
  | { readonly kind: "install" | "reinstall" | "upgrade"; readonly canister: string; module: string; arg: string }
  | { readonly kind: "ingress" | "query"; readonly canister: string; method: string; arg: string };

const INSTALLS = new Set(["install", "reinstall", "upgrade"]);
const CALLS = new Set(["ingress", "query"]);

/** Throws with the sentence that the suite's runner prints. */
export function parseScript(lines: readonly string[]): Command[] {
  const commands: Command[] = [];
  for (const line of lines) {
    const parts = line.trim().split(/\s+/);
    const [kind = "", canister = "", target = "", arg = ""] = parts;
    if (kind === "" || kind.startsWith("#") || kind === "create") continue;
    if (!INSTALLS.has(kind) && !CALLS.has(kind)) throw new Error(`Unknown command: ${kind}`);
    if (parts.length !== 4) throw new Error(`${kind} command requires 3 arguments`);
    if (INSTALLS.has(kind)) commands.push({ kind: kind as "install", canister, module: target, arg });
    else commands.push({ kind: kind as "ingress", canister, method: target, arg });
  }
  return commands;
}

export function parseArgument(text: string): Uint8Array {
  if (!text.startsWith('"')) {
    if (!/^0x([0-9a-fA-F]{2})*$/.test(text)) throw new Error(`Illegal hex character sequence ${text}.`);
    return Uint8Array.from(Buffer.from(text.slice(2), "hex"));
  }
  // biome-ignore lint/suspicious/noControlCharactersInRegex: all of ASCII
  if (!/^[\x00-\x7f]*$/.test(text)) throw new Error("Only ASCII strings are allowed.");
  const bytes: number[] = [];
  const body = /^"((?:[^"\\]|\\.)*)"$/s.exec(text)?.[1];
  if (body === undefined) throw new Error("Double-quoted string must be enclosed in double quotes.");
  for (const [piece] of body.matchAll(/\\x[0-9a-fA-F]{2}|\\b[01]{8}|\\["\\]|[^\\]|\\/gs)) {
    if (piece === "\\") throw new Error(`Illegal escape sequence in ${text}`);
    if (piece.startsWith("\\x")) bytes.push(Number.parseInt(piece.slice(2), 16));
    else if (piece.startsWith("\\b")) bytes.push(Number.parseInt(piece.slice(2), 2));
    else bytes.push(piece.charCodeAt(piece.length - 1));
  }
  return Uint8Array.from(bytes);
}
