// `atoll registry`: the command line of the operator, who says by signed records which nodes a subnet has and how it runs.
// The registry canister takes the place of the operator later.
import { type PrincipalId, principalFromText } from "@atoll/types";
import { numberOf, parseOptions, required, wrong } from "../command-line.ts";

export interface RegistryChange {
  /** Identity files. */
  readonly add: readonly string[];
  readonly remove: readonly PrincipalId[];
  readonly unitDelayMs: number | undefined;
  readonly notaryDelayMs: number | undefined;
  readonly dkgInterval: number | undefined;
  readonly protocolVersion: string | undefined;
  readonly halt: "at-cup" | "at-once" | "not" | undefined;
}

export type RegistryCommand =
  | { readonly kind: "help" }
  | { readonly kind: "show"; readonly nodes: readonly string[] }
  | {
      readonly kind: "change";
      /** URLs of running nodes, which hand the record on to the others. */
      readonly nodes: readonly string[];
      readonly registryKeys: string;
      readonly passphraseFile: string | undefined;
      readonly change: RegistryChange;
    };

export const REGISTRY_USAGE = `Usage: atoll registry show --node URL
       atoll registry change --registry-keys FILE --node URL [--node URL ...] [changes]

Shows the newest registry record that a node knows, or signs the next one and hands it to nodes, which pass it on. URL is
where a node takes records: its own HTTP interface when only its machine reaches that, else its "operator" address.

  --add FILE              a new node, by the identity file that "atoll genesis identity" made on its host
  --remove ID             a node is no longer of the subnet; with --add: the new one takes its place
  --unit-delay-ms N, --notary-delay-ms N, --dkg-interval N
  --protocol-version V    run another version from the next catch-up package on
  --halt-at-cup           stop at the next catch-up package
  --halt                  stop at once
  --resume                go on
  --passphrase-file FILE  of the operator's keys, where they are sealed`;

export function parseRegistry(args: readonly string[]): RegistryCommand {
  const [action, ...rest] = args;
  if (action === undefined || args.includes("--help") || args.includes("-h")) return { kind: "help" };
  if (action === "show") {
    const { values } = parseOptions({ args: rest, options: { node: { type: "string", multiple: true } } });
    return { kind: "show", nodes: urlsOf(values.node) };
  }
  if (action !== "change") throw wrong(`The registry cannot "${action}": show or change.`);
  return parseChange(rest);
}

function parseChange(args: string[]): RegistryCommand {
  const { values } = parseOptions({
    args,
    options: {
      node: { type: "string", multiple: true },
      "registry-keys": { type: "string" },
      "passphrase-file": { type: "string" },
      add: { type: "string", multiple: true },
      remove: { type: "string", multiple: true },
      "unit-delay-ms": { type: "string" },
      "notary-delay-ms": { type: "string" },
      "dkg-interval": { type: "string" },
      "protocol-version": { type: "string" },
      "halt-at-cup": { type: "boolean" },
      halt: { type: "boolean" },
      resume: { type: "boolean" },
    },
  });
  const halts = [values["halt-at-cup"] && "at-cup", values.halt && "at-once", values.resume && "not"].filter(
    (halt): halt is "at-cup" | "at-once" | "not" => typeof halt === "string",
  );
  if (halts.length > 1) throw wrong("Only one of --halt-at-cup, --halt and --resume can be said.");
  const change: RegistryChange = {
    add: values.add ?? [],
    remove: (values.remove ?? []).map(nodeIdOf),
    unitDelayMs: given("unit-delay-ms", values["unit-delay-ms"], 1, 600_000),
    notaryDelayMs: given("notary-delay-ms", values["notary-delay-ms"], 1, 600_000),
    dkgInterval: given("dkg-interval", values["dkg-interval"], 4, 10_000),
    protocolVersion: values["protocol-version"],
    halt: halts[0],
  };
  const isNothing = Object.values(change).every(
    (part) => part === undefined || (Array.isArray(part) && part.length === 0),
  );
  if (isNothing) throw wrong("registry change needs something to change.");
  return {
    kind: "change",
    nodes: urlsOf(values.node),
    registryKeys: required("registry-keys", values["registry-keys"], "the name of a file"),
    passphraseFile: values["passphrase-file"],
    change,
  };
}

function given(option: string, text: string | undefined, min: number, max: number): number | undefined {
  return text === undefined ? undefined : numberOf(option, text, { min, max, otherwise: min });
}

function nodeIdOf(text: string): PrincipalId {
  const id = principalFromText(text);
  if (id === undefined) throw wrong(`"${text.slice(0, 100)}" is not the id of a node.`);
  return id;
}

function urlsOf(texts: readonly string[] | undefined): readonly string[] {
  if (texts === undefined) throw wrong("--node needs the URL of a node.");
  for (const text of texts) {
    const url = URL.parse(text);
    if (url === null || url.protocol !== "http:")
      throw wrong(`"${text.slice(0, 100)}" is not the URL of a node: give one such as http://127.0.0.1:8080.`);
  }
  return texts;
}
