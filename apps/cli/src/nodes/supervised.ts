// What a node tells the process that keeps it running. That the channel closes is how a node notices that this process is
// gone, whatever killed it (signals.ts): no node is ever left behind.

export type FromNode =
  /** It serves from now on. `url`: its own HTTP interface. */
  | { readonly kind: "ready"; readonly id: string; readonly url: string; readonly rootKey: string }
  /** What canisters print and why calls failed, for the screen: each node says the same of a round. */
  | { readonly kind: "round"; readonly height: number; readonly lines: readonly string[] }
  | { readonly kind: "query"; readonly lines: readonly string[] };

export function isSupervised(): boolean {
  return process.send !== undefined;
}

export function tellSupervisor(message: FromNode): void {
  // The channel may be closing: then nobody wants to know any more.
  process.send?.(message, undefined, undefined, () => undefined);
}
