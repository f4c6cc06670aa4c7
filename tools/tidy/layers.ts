// The protocol's four-layer picture as a table: which package may import which, and what host it may count on.
// Arrows only point down: a package may import only packages that stand above it in this list, so a circle cannot be
// written down. ARCHITECTURE.md shows the same table to readers; `node tools/tidy.test.ts` holds the tree to it.

/** D deterministic (ES library, text coding, WebAssembly), U universal web (adds Request, Response, URL), N Node, B browser. */
export type Host = "deterministic" | "universal" | "node" | "browser";

export interface Layer {
  readonly folder: string;
  readonly host: Host;
  /** Folders of it that count on another host, by their path. */
  readonly hosts?: Readonly<Record<string, Host>>;
  /** Names of our own packages that its sources may import. Tests may import any. */
  readonly mayImport: readonly string[];
}

const base = ["types", "crypto", "state"];
const core = [...base, "embedder", "execution", "messaging", "consensus"];

/** In the order of the layers: what is imported stands above what imports it. */
export const layers: ReadonlyMap<string, Layer> = new Map(
  Object.entries({
    types: { folder: "packages/types", host: "deterministic", mayImport: [] },
    crypto: { folder: "packages/crypto", host: "deterministic", mayImport: ["types"] },
    state: { folder: "packages/state", host: "deterministic", mayImport: ["types", "crypto"] },
    embedder: { folder: "packages/embedder", host: "deterministic", mayImport: ["types", "state"] },
    execution: { folder: "packages/execution", host: "deterministic", mayImport: [...base, "embedder"] },
    messaging: { folder: "packages/messaging", host: "deterministic", mayImport: ["types", "state", "execution"] },
    consensus: { folder: "packages/consensus", host: "deterministic", mayImport: ["types", "crypto"] },
    "host-node": { folder: "packages/host-node", host: "node", mayImport: base },
    p2p: {
      folder: "packages/p2p",
      host: "universal",
      hosts: { "packages/p2p/src/transport": "node" },
      mayImport: ["types", "crypto"],
    },
    replica: { folder: "packages/replica", host: "universal", mayImport: core },
    gateway: { folder: "packages/gateway", host: "universal", mayImport: ["types", "crypto"] },
    "pocket-ic": {
      folder: "packages/pocket-ic",
      host: "universal",
      hosts: { "packages/pocket-ic/src/worker": "browser" },
      mayImport: [...core, "replica", "gateway"],
    },
    "pocket-ic-server": {
      folder: "packages/pocket-ic-server",
      host: "node",
      mayImport: [...core, "host-node", "replica", "gateway", "pocket-ic"],
    },
    simulator: { folder: "packages/simulator", host: "universal", mayImport: [...core, "p2p", "replica"] },
    "test-kit": { folder: "packages/test-kit", host: "node", mayImport: ["types", "host-node", "pocket-ic"] },
    "example-browser": { folder: "examples/browser", host: "browser", mayImport: ["pocket-ic"] },
    "example-hello": { folder: "examples/hello", host: "node", mayImport: [] },
    cli: {
      folder: "apps/cli",
      host: "node",
      mayImport: [...core, "host-node", "p2p", "replica", "gateway", "pocket-ic", "pocket-ic-server", "example-hello"],
    },
  } satisfies Record<string, Layer>),
);

/** Packages of other people that a host kind may import; Node hosts may import all that package.json names. */
export const thirdParties: Readonly<Record<Host, readonly string[] | "any">> = {
  deterministic: ["@icp-sdk/core", "@noble/curves", "@noble/hashes", "fflate", "mcl-wasm"],
  universal: ["@icp-sdk/core", "@noble/curves", "@noble/hashes", "hono"],
  browser: ["@icp-sdk/core", "@noble/curves", "@noble/hashes"],
  node: "any",
};

/** Files of deterministic packages that may wait, each with its reason. No round runs through them. */
export const mayAwait: ReadonlyMap<string, string> = new Map([]);
