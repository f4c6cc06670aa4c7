// Why a module is not accepted, with the replica's words and the advice it gives for each kind of refusal: people
// and tools search for these sentences. Interface specification, "Canister module format"; checklist 3.1.

export interface Refusal {
  /** Which step of the replica refuses: its message begins differently, an engine's refusal has its own code. */
  readonly step: "validate" | "instrument" | "instantiate";
  readonly text: string;
  /** What to do about it and the page that says more; without it the toolchain is to blame. */
  readonly advice?: { readonly suggestion: string; readonly topic: string };
}

export function refusal(text: string): Refusal {
  return { step: "validate", text };
}

/** `topic` is the anchor on the page of execution errors, without what all these begin with. */
export function advised(text: string, suggestion: string, topic: string): Refusal {
  return { step: "validate", text, advice: { suggestion, topic: `wasm-module-${topic}` } };
}

export function undecodable(reason: string): Refusal {
  return refusal(`Failed to decode wasm module: ${reason}`);
}

export function moduleTooLarge(size: number, allowed: number): Refusal {
  return advised(
    `Wasm module size of ${size} exceeds the maximum allowed size of ${allowed}.`,
    "Try shrinking the module using tools like `ic-wasm` or splitting the logic across multiple canisters.",
    "too-large",
  );
}
